import * as tf from '@tensorflow/tfjs-core'
import { overRows } from '../assignment/rows.ts'
import { scoreOf, type ScoreName } from '../assignment/scores.ts'
import type { LossTerm } from './losses.ts'

export interface CrossEntropyOptions {
  /** how well a code fits a vector; default `'distance'`; between unit vectors `'dot'` is the cosine */
  readonly score?: ScoreName
}

/**
 * Mean of -log softmax(score) at the given codes, with scores held block by block of rows.
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param indices int32 `[N]`; -1 does not count
 * @returns a scalar, differentiable towards `z` and `codes`
 */
export function crossEntropy(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  indices: tf.Tensor1D,
  options: CrossEntropyOptions = {},
): tf.Scalar {
  const score = scoreOf(options.score ?? 'distance')
  return tf.tidy(() => {
    const total = overRows(
      (rows, book, given) => {
        // An index of -1 has an empty one-hot row: nothing is added, nothing pulled back.
        const wanted = tf.cast(tf.oneHot(given as tf.Tensor1D, book.shape[0]), 'float32') // [n, K]
        return tf.neg(tf.sum(tf.mul(wanted, tf.logSoftmax(score(rows, book)))))
      },
      z,
      codes,
      { constants: [indices], combine: 'sum' },
    )
    const counted = tf.sum(tf.cast(tf.greaterEqual(indices, tf.scalar(0, 'int32')), 'float32'))
    return tf.div(total, tf.maximum(counted, 1))
  })
}

/** Pulls vectors and codes together by cross-entropy to the codes chosen: `weight * crossEntropy`. arXiv 2412.15195 */
export function crossEntropyLoss(weight = 1, options: CrossEntropyOptions = {}): LossTerm {
  return ({ z, codes, indices, counts }) => {
    const given = counts ? maskedIndices(indices, counts) : indices
    return tf.mul(weight, crossEntropy(z, codes, given, options))
  }
}

function maskedIndices(indices: tf.Tensor1D, counts: tf.Tensor1D): tf.Tensor1D {
  return tf.where(tf.cast(counts, 'bool'), indices, tf.fill(indices.shape, -1, 'int32'))
}
