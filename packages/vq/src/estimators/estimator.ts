import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@x/core-gpu'
import type { Step } from '../step.ts'

/** How codes were chosen. */
export interface Choice extends Step {
  /** all codes, `[K, d]` */
  readonly codes: tf.Tensor2D
  /** the chosen ones, int32 `[N]` */
  readonly indices: tf.Tensor1D
}

/**
 * How a gradient passes the choice of a code: vectors `z` and their codes `q`, both `[N, d]`, to what stands for the codes,
 * with a gradient. Outside training the value is `q`.
 */
export type Estimator = (z: tf.Tensor2D, q: tf.Tensor2D, choice: Choice) => tf.Tensor2D

/** An estimator that asks only for vectors and codes. */
export type PlainEstimator = (z: tf.Tensor2D, q: tf.Tensor2D) => tf.Tensor2D

/**
 * Makes the estimator `G z + sg[q - G z]` from its pullback: the value is `q` exactly, the gradient is G's.
 *
 * The codes get no gradient through it; they learn from a loss term or by counting.
 * @param pullback takes the gradient `g` `[N, d]` at the value to `G^T g` `[N, d]`
 */
export function estimator(pullback: (g: tf.Tensor2D, z: tf.Tensor2D, q: tf.Tensor2D) => tf.Tensor2D): PlainEstimator {
  return (z, q) => {
    const apply = tf.customGrad((x, save) => {
      const code = stopGradient(q)
      ;(save as tf.GradSaveFunc)([x as tf.Tensor, code])
      return {
        value: code,
        gradFunc: (g: tf.Tensor, saved: tf.Tensor[]) =>
          pullback(g as tf.Tensor2D, saved[0] as tf.Tensor2D, saved[1] as tf.Tensor2D),
      }
    })
    return apply(z) as tf.Tensor2D
  }
}

/** The gradient of the code is the vector's, unchanged: G = I. arXiv 1711.00937 (after arXiv 1308.3432). */
export const straightThrough: PlainEstimator = estimator((g) => tf.clone(g))

/**
 * The straight-through estimator for any matrix: the vector's gradient is `G^T g`.
 * @param matrix gives `[N, d, d]` (a matrix per row) or `[d, d]` (one for all) for vectors and codes `[N, d]`
 */
export function straightThroughWith(matrix: (z: tf.Tensor2D, q: tf.Tensor2D) => tf.Tensor): PlainEstimator {
  return estimator((g, z, q) =>
    tf.tidy(() => {
      const G = matrix(z, q)
      if (G.rank === 2) return tf.matMul(g, G as tf.Tensor2D)
      // G^T g for each row, as a sum over the matrix's first index: [N, d, 1] * [N, d, d]
      return tf.sum(tf.mul(tf.expandDims(g, 2), G), 1) as tf.Tensor2D
    }),
  )
}

/**
 * The synchronised update: beside the vector, the code gets `rate` times the gradient at the value. arXiv 2305.08842
 *
 *     estimate + rate (q - sg[q])
 * @param estimate any estimator
 * @param rate nu, the codebook's share of the gradient; 0 leaves the estimator as it is
 */
export function synchronised(estimate: Estimator, rate: number): Estimator {
  if (!(rate >= 0)) throw new RangeError(`rate: expected a number >= 0, got ${rate}`)
  return (z, q, choice) => tf.add(estimate(z, q, choice), tf.mul(rate, tf.sub(q, stopGradient(q))))
}
