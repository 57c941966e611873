import * as tf from '@tensorflow/tfjs-core'
import { gatherRows } from '../lookup/gather-rows.ts'
import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'
import { nearestCodeReference } from './reference.ts'

// A chunk of scores is 8 MiB, of at most so many codes.
const scoresPerChunk = 1 << 21
const codesPerChunk = 1 << 15

/** XNearestCode: our own operation; without it chunks of rows, each one product that begins at |c|^2 and one argmin. */
export function nearestCodeTensorFlow(operations: boolean): Kernel {
  return ({ x, codebook }, { metric }, backend) => {
    const [rows, codes] = [x as tf.Tensor2D, codebook as tf.Tensor2D]
    if (metric === 'cosine') return tf.tidy(() => nearestCodeReference(rows, codes, metric))
    if (operations) return (backend as TensorFlowBackend).executeMultipleOutputs('XNearestCode', [], [rows, codes], 2)
    return tf.tidy(() => nearestByProducts(rows, codes))
  }
}

function nearestByProducts(x: tf.Tensor2D, codebook: tf.Tensor2D): [tf.Tensor1D, tf.Tensor1D] {
  const [n, d] = x.shape
  const wideRows = tf.concat2d([x, tf.ones([n, 1])], 1) // [N, d + 1]
  const norms = tf.sum(tf.square(codebook), 1, true) as tf.Tensor2D // [K, 1]
  const wideCodes = tf.concat2d([tf.mul(codebook, -2), norms], 1) // [K, d + 1]
  const height = Math.max(64, Math.floor(scoresPerChunk / Math.min(codebook.shape[0], codesPerChunk)))
  const chunks: tf.Tensor1D[] = []
  for (let row = 0; row < n; row += height) {
    const part = tf.slice(wideRows, [row, 0], [Math.min(height, n - row), d + 1])
    chunks.push(tf.tidy(() => nearestIndices(part, wideCodes)))
  }
  const found = chunks.length === 1 ? chunks[0]! : tf.concat1d(chunks)
  // |x|^2 - 2 x.c + |c|^2 loses digits where x is close to c, so the distance is taken anew.
  const distances = tf.sum(tf.squaredDifference(x, gatherRows(codebook, found, 0)), 1) as tf.Tensor1D // [N]
  const broken = tf.any(tf.isNaN(x), 1) // [N]
  return [tf.where(broken, tf.fill(found.shape, -1, 'int32'), found), distances]
}

/** The place of the least score |c|^2 - 2 x.c of each row, [n]. */
function nearestIndices(rows: tf.Tensor2D, codes: tf.Tensor2D): tf.Tensor1D {
  const n = rows.shape[0]
  const [places, least]: [tf.Tensor[], tf.Tensor[]] = [[], []]
  for (let start = 0; start < codes.shape[0]; start += codesPerChunk) {
    const part = tf.slice(codes, [start, 0], [Math.min(codesPerChunk, codes.shape[0] - start), -1])
    const scores = tf.matMul(rows, part, false, true) // [n, codes]
    const place = tf.argMin(scores, 1) // [n]
    if (part.shape[0] === codes.shape[0]) return place as tf.Tensor1D
    // The score again, from one code: a minimum would be NaN where a single score is.
    least.push(tf.sum(tf.mul(rows, tf.gather(part, place as tf.Tensor1D)), 1)) // [n]
    places.push(tf.add(place, tf.scalar(start, 'int32')))
    scores.dispose()
  }
  const chunk = tf.argMin(tf.stack(least, 1), 1) // [n]
  const choices = tf.stack([tf.range(0, n, 1, 'int32'), chunk], 1) // [n, 2]
  return tf.gatherND(tf.stack(places, 1), choices) as tf.Tensor1D
}
