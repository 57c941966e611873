import * as tf from '@tensorflow/tfjs-core'
import { lookup, stopGradient } from '@x/core-gpu'
import { overRows } from '../assignment/rows.ts'
import { scoreOf, type ScoreName } from '../assignment/scores.ts'
import type { Estimator } from './estimator.ts'

export interface SoftIndexOptions {
  /** how well a code fits a vector; default `'distance'` */
  readonly score?: ScoreName
  /** scores are divided by it; default 1 */
  readonly temperature?: number
}

/**
 * The one-hot vectors of chosen codes, with the gradient of softmax(logits / temperature), whatever they were chosen by.
 *
 *     onehot + s - sg[s]
 * @param logits `[n, K]`
 * @param indices int32 `[n]`
 * @returns `[n, K]`
 */
export function softOneHot(logits: tf.Tensor2D, indices: tf.Tensor1D, temperature: number = 1): tf.Tensor2D {
  return tf.tidy(() => {
    const soft = tf.softmax(tf.div(logits, temperature)) // [n, K]
    const hard = tf.cast(tf.oneHot(indices, logits.shape[1]), 'float32')
    return tf.add(hard, tf.sub(soft, stopGradient(soft)))
  })
}

/**
 * Straight through the index instead of the code: the one-hot choice gets the gradient of a softmax over all codes, so that
 * every code learns from every vector. arXiv 2412.02692, arXiv 1611.01144
 *
 *     (onehot + s - sg[s]) E,   s = softmax(score / temperature)
 *
 * The backward pass costs N x K products, but holds only a block of rows' scores at a time.
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param indices int32 `[N]`
 * @returns the chosen codes, `[N, d]`, differentiable towards `z` and `codes`
 */
export function throughIndex(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  indices: tf.Tensor1D,
  options: SoftIndexOptions = {},
): tf.Tensor2D {
  const { score = 'distance', temperature = 1 } = options
  const block = (rows: tf.Tensor2D, book: tf.Tensor2D, chosen: tf.Tensor): tf.Tensor =>
    tf.matMul(softOneHot(scoreOf(score)(rows, book), chosen as tf.Tensor1D, temperature), book) // [n, d]
  const value = (): tf.Tensor => lookup(stopGradient(codes), indices)
  return overRows(block, z, codes, { constants: [indices], value }) as tf.Tensor2D
}

/** The estimator through the index; the codes get its gradient as well. */
export function softIndexEstimator(options: SoftIndexOptions = {}): Estimator {
  return (z, _, { codes, indices }) => throughIndex(z, codes, indices, options)
}
