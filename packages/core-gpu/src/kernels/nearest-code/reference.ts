import * as tf from '@tensorflow/tfjs-core'
import { gatherRows } from '../lookup/gather-rows.ts'
import type { CodeMetric } from './nearest-code.ts'

// Some 5 matrices of this size exist at a time: 10 MiB.
const rowChunk = 1024
const codeChunk = 512

/** What is known of a chunk of vectors after some of the codes: the least scores, and whose they are. */
type Found = [scores: tf.Tensor, indices: tf.Tensor]

/** The nearest code in plain operations: chunks of rows and codes, and a running minimum. */
export function nearestCodeReference(
  x: tf.Tensor2D,
  codebook: tf.Tensor2D,
  metric: CodeMetric,
): [tf.Tensor1D, tf.Tensor1D] {
  const codes = metric === 'cosine' ? unitRows(codebook) : codebook
  const indices = search(x, codes, metric, [], 0, ([best, indices], scores, start) => {
    const least = tf.min(scores, 1)
    const nearer = tf.less(least, best)
    const place = tf.add(tf.argMin(scores, 1), tf.scalar(start, 'int32'))
    return [tf.where(nearer, least, best), tf.where(nearer, place, indices)]
  }) as tf.Tensor1D // [N]
  const distances = distancesTo(gatherRows(codes, indices, 0), x, metric) // [N]
  const broken = tf.any(tf.isNaN(x), 1) // [N]
  return [tf.where(broken, tf.fill(indices.shape, -1, 'int32'), indices), distances as tf.Tensor1D]
}

/** The nearest `count` codes in plain operations: chunks of rows and codes, and the least scores so far. */
export function nearestCodesReference(
  x: tf.Tensor2D,
  codebook: tf.Tensor2D,
  count: number,
  metric: CodeMetric,
): [tf.Tensor2D, tf.Tensor2D] {
  const codes = metric === 'cosine' ? unitRows(codebook) : codebook
  const indices = search(x, codes, metric, [count], -1, ([best, indices], scores, start) => {
    const [rows, width] = scores.shape as [number, number]
    const chunk = tf.tile(tf.expandDims(tf.range(start, start + width, 1, 'int32'), 0), [rows, 1])
    const [least, kept] = leastOf(tf.concat([best, scores], 1), tf.concat([indices, chunk], 1), count)
    return [least, tf.where(tf.isInf(least), tf.scalar(-1, 'int32'), kept)]
  }) // [N, count]
  const columns = tf.split(indices, count, 1).map((column) => {
    const distances = distancesTo(gatherRows(codes, tf.reshape(column, [-1]), NaN), x, metric)
    return tf.where(tf.less(tf.reshape(column, [-1]), 0), Infinity, distances)
  })
  const [distances, ordered] = leastOf(tf.stack(columns, 1), indices, count)
  const broken = tf.any(tf.isNaN(x), 1, true) // [N, 1]
  return [
    tf.where(broken, tf.scalar(-1, 'int32'), ordered) as tf.Tensor2D,
    tf.where(broken, NaN, distances) as tf.Tensor2D,
  ]
}

/** The `count` least of scores [n, m], in order, and their indices. */
function leastOf(scores: tf.Tensor, indices: tf.Tensor, count: number): Found {
  const [rows, width] = scores.shape as [number, number]
  const { values, indices: places } = tf.topk(tf.neg(scores), count)
  // As one list: with batch dimensions tfjs's wasm gathers wrongly.
  const offsets = tf.expandDims(tf.range(0, rows * width, width, 'int32'), 1) // [n, 1]
  return [tf.neg(values), tf.gather(tf.reshape(indices, [-1]), tf.add(places, offsets))]
}

/** Updates what was found of each chunk of vectors by the scores [n, codes] of each chunk of codes; gives the indices. */
function search(
  x: tf.Tensor2D,
  codes: tf.Tensor2D,
  metric: CodeMetric,
  inner: number[],
  noCode: number,
  update: (found: Found, scores: tf.Tensor2D, start: number) => Found,
): tf.Tensor {
  const chunks: tf.Tensor[] = []
  for (let row = 0; row < x.shape[0]; row += rowChunk) {
    const rows = tf.slice(x, [row, 0], [Math.min(rowChunk, x.shape[0] - row), -1])
    const shape = [rows.shape[0], ...inner]
    let found: Found = [tf.fill(shape, Infinity), tf.fill(shape, noCode, 'int32')]
    for (let start = 0; start < codes.shape[0]; start += codeChunk) {
      const last = found
      const width = Math.min(codeChunk, codes.shape[0] - start)
      found = tf.tidy(() => update(last, scoresOf(rows, tf.slice(codes, [start, 0], [width, -1]), metric), start))
      tf.dispose(last)
    }
    found[0].dispose()
    chunks.push(found[1])
  }
  return chunks.length === 1 ? chunks[0]! : tf.concat(chunks)
}

/** What orders codes as their distances do: without |x|^2, which is the same for all. Infinite where it is not a number. */
function scoresOf(rows: tf.Tensor2D, codes: tf.Tensor2D, metric: CodeMetric): tf.Tensor2D {
  const products = tf.mul(-2, tf.matMul(rows, codes, false, true)) // [n, codes]
  // On the unit sphere |c|^2 is the same for all, too.
  const scores = metric === 'cosine' ? products : tf.add(products, tf.sum(tf.square(codes), 1))
  return tf.where(tf.isNaN(scores), Infinity, scores) as tf.Tensor2D
}

/** Taken anew from the codes found: |x|^2 - 2 x.c + |c|^2 would lose digits where x is close to c. */
function distancesTo(found: tf.Tensor, x: tf.Tensor2D, metric: CodeMetric): tf.Tensor {
  return metric === 'cosine'
    ? tf.sub(1, tf.sum(tf.mul(unitRows(x), found), 1))
    : tf.sum(tf.squaredDifference(x, found), 1)
}

/** Rows of length 1; zero ones stay zero. */
function unitRows(x: tf.Tensor2D): tf.Tensor2D {
  const lengths = tf.norm(x, 2, 1, true)
  return tf.div(x, tf.where(tf.equal(lengths, 0), 1, lengths))
}
