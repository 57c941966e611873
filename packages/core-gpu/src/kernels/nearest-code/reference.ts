import * as tf from '@tensorflow/tfjs-core'
import { gatherRows } from '../lookup/gather-rows.ts'
import type { CodeMetric } from './nearest-code.ts'

// Some 5 matrices of this size exist at a time: 10 MiB.
const rowChunk = 1024
const codeChunk = 512

/** The nearest code in plain operations: chunks of rows and codes, and a running minimum. */
export function nearestCodeReference(
  x: tf.Tensor2D,
  codebook: tf.Tensor2D,
  metric: CodeMetric,
): [tf.Tensor1D, tf.Tensor1D] {
  const codes = metric === 'cosine' ? unitRows(codebook) : codebook
  const chunks: tf.Tensor1D[] = []
  for (let row = 0; row < x.shape[0]; row += rowChunk) {
    const rows = tf.slice(x, [row, 0], [Math.min(rowChunk, x.shape[0] - row), -1])
    chunks.push(tf.tidy(() => nearestIndices(rows, codes, metric)))
  }
  const found = chunks.length === 1 ? chunks[0]! : tf.concat1d(chunks)
  const nearest = gatherRows(codes, found, 0)
  // |x|^2 - 2 x.c + |c|^2 loses digits where x is close to c, so the distance is taken anew.
  const distances =
    metric === 'cosine'
      ? tf.sub(1, tf.sum(tf.mul(unitRows(x), nearest), 1))
      : tf.sum(tf.squaredDifference(x, nearest), 1)
  const broken = tf.any(tf.isNaN(x), 1) // [N]
  return [tf.where(broken, tf.fill(found.shape, -1, 'int32'), found), distances as tf.Tensor1D]
}

/** Rows of length 1; zero ones stay zero. */
function unitRows(x: tf.Tensor2D): tf.Tensor2D {
  const lengths = tf.norm(x, 2, 1, true)
  return tf.div(x, tf.where(tf.equal(lengths, 0), 1, lengths))
}

function nearestIndices(rows: tf.Tensor2D, codebook: tf.Tensor2D, metric: CodeMetric): tf.Tensor1D {
  const n = rows.shape[0]
  let best = tf.fill([n], Infinity)
  let indices = tf.zeros([n], 'int32')
  for (let start = 0; start < codebook.shape[0]; start += codeChunk) {
    const last = [best, indices]
    ;[best, indices] = tf.tidy(() => nearer(rows, codebook, metric, start, best, indices))
    tf.dispose(last)
  }
  return indices as tf.Tensor1D
}

/** The running minimum after one more chunk of codes. */
function nearer(
  rows: tf.Tensor2D,
  codebook: tf.Tensor2D,
  metric: CodeMetric,
  start: number,
  best: tf.Tensor,
  indices: tf.Tensor,
): [tf.Tensor, tf.Tensor] {
  const codes = tf.slice(codebook, [start, 0], [Math.min(codeChunk, codebook.shape[0] - start), -1])
  // |x|^2 is the same for every code, and so is |c|^2 on the unit sphere.
  const starts = metric === 'cosine' ? tf.zeros([codes.shape[0]]) : tf.sum(tf.square(codes), 1)
  const scores = tf.sub(starts, tf.mul(2, tf.matMul(rows, codes, false, true))) // [n, codes]
  const finite = tf.where(tf.isNaN(scores), Infinity, scores)
  const least = tf.min(finite, 1)
  const found = tf.less(least, best)
  const place = tf.add(tf.argMin(finite, 1), tf.scalar(start, 'int32'))
  return [tf.where(found, least, best), tf.where(found, place, indices)]
}
