import * as tf from '@tensorflow/tfjs-core'
import { segmentSum } from '@x/core-gpu'
import { keyFor } from '../step.ts'
import { cosine } from '../metric.ts'
import type { LossBatch, LossTerm } from './losses.ts'

export interface OrthogonalOptions {
  /** only codes that the batch chose take part; default false */
  readonly activeOnly?: boolean
  /** at most so many codes, drawn at random, take part (training then needs keys); default: all */
  readonly maxCodes?: number
}

/**
 * How far codes are from being orthogonal: 0 where they are, towards 1 where they are parallel. arXiv 2112.00384, eq. 2
 *
 *     sum_ij (e_i.e_j)^2 / n^2 - 1 / n,   codes scaled to length 1
 *
 * The sum over pairs is |E^T E|^2: neither time nor memory grows with n^2.
 * @param codes `[n, d]`, or `[h, n, d]` for several codebooks, whose mean it is
 * @param taking 1 for codes that take part, else 0, `[n]`; default: all; with one codebook only
 */
export function orthogonality(codes: tf.Tensor2D | tf.Tensor3D, taking?: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => {
    const [n, d] = codes.shape.slice(-2) as [number, number]
    const rows = tf.reshape<tf.Rank.R2>(codes, [-1, d]) // [h n, d]
    const books = Array.from({ length: rows.shape[0] / n }, (_, i) => tf.slice(rows, i * n, n)) // h x [n, d]
    const each = books.map((book) => {
      const units = cosine.project(book)
      const kept = taking ? tf.mul(units, tf.expandDims(taking, 1)) : units
      const count = taking ? tf.maximum(tf.sum(taking), 1) : tf.scalar(n)
      const pairs = tf.sum(tf.square(tf.matMul(kept, kept, true, false))) // |E^T E|^2, [d, d]
      return tf.sub(tf.div(pairs, tf.square(count)), tf.div(1, count))
    })
    return tf.div(tf.addN(each), books.length)
  })
}

/** Spreads the codes: `weight * orthogonality`. Without effect on codes that do not learn by gradient, and refused there. */
export function orthogonalLoss(weight = 1, options: OrthogonalOptions = {}): LossTerm {
  const term = (batch: LossBatch): tf.Scalar => tf.mul(weight, orthogonality(batch.codes, taking(batch, options)))
  return Object.assign(term, { trainsCodes: true as const })
}

function taking(batch: LossBatch, { activeOnly = false, maxCodes }: OrthogonalOptions): tf.Tensor1D | undefined {
  const count = batch.codes.shape[0]
  const limited = maxCodes !== undefined && maxCodes < count
  if (!activeOnly && !limited) return undefined
  const eligible = activeOnly ? used(batch) : tf.ones<tf.Rank.R1>([count])
  if (!limited) return eligible
  // The first maxCodes eligible ones in random order.
  const order = keyFor('loss', batch.key).permutation(count)
  const inOrder = tf.gather(eligible, tf.tensor1d(order, 'int32'))
  const first = tf.mul(inOrder, tf.cast(tf.lessEqual(tf.cumsum(inOrder), maxCodes), 'float32')) as tf.Tensor1D
  const back = new Int32Array(count)
  order.forEach((code, place) => (back[code] = place))
  return tf.gather(first, tf.tensor1d(back, 'int32'))
}

/** 1 for each code that a vector chose, `[K]`. */
function used({ codes, indices, counts }: LossBatch): tf.Tensor1D {
  const hits = segmentSum(counts ?? tf.ones<tf.Rank.R1>(indices.shape), indices, codes.shape[0])
  return tf.cast(tf.greater(hits, 0), 'float32') as tf.Tensor1D
}
