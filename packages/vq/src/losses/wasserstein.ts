import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@x/core-gpu'
import type { LossTerm } from './losses.ts'

/**
 * The root of a symmetric, non-negative matrix and its inverse, by the coupled iteration of Newton and Schulz: products
 * only, so that nothing has to be read from the device.
 *
 * A millionth of the matrix's norm is added to its diagonal: directions of less variance count as of that much.
 * @param matrix `[d, d]`
 */
export function squareRoot(matrix: tf.Tensor2D): { root: tf.Tensor2D; inverse: tf.Tensor2D } {
  const identity = tf.eye(matrix.shape[0]) as tf.Tensor2D
  const norm = tf.add(tf.sqrt(tf.sum(tf.square(matrix))), 1e-30)
  let y = tf.add(tf.div(matrix, norm), tf.mul(1e-6, identity)) as tf.Tensor2D
  let z = identity
  // An eigenvalue grows by at least 9/4 a step while it is small: 22 steps reach 1 from a millionth.
  for (let i = 0; i < 22; i++) {
    const step = tf.mul(0.5, tf.sub(tf.mul(3, identity), tf.matMul(z, y))) as tf.Tensor2D
    ;[y, z] = [tf.matMul(y, step), tf.matMul(step, z)]
  }
  const scale = tf.sqrt(norm)
  return { root: tf.mul(y, scale), inverse: tf.div(z, scale) }
}

/** tr((A S A)^(1/2)) for a constant A, differentiable towards S: `dS = A (A S A)^(-1/2) A / 2`. */
function traceOfRoot(A: tf.Tensor2D, S: tf.Tensor2D): tf.Scalar {
  const middle = (a: tf.Tensor2D, covariance: tf.Tensor2D): tf.Tensor2D => tf.matMul(tf.matMul(a, covariance), a)
  const apply = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc
    const covariance = args[0] as tf.Tensor2D
    save([A, covariance])
    return {
      value: trace(squareRoot(middle(A, covariance)).root),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [a, s] = saved as [tf.Tensor2D, tf.Tensor2D]
        const slope = tf.matMul(tf.matMul(a, squareRoot(middle(a, s)).inverse), a)
        return tf.mul(tf.mul(0.5, dy), slope)
      },
    }
  })
  return apply(S) as tf.Scalar
}

function trace(matrix: tf.Tensor2D): tf.Scalar {
  return tf.sum(tf.mul(matrix, tf.eye(matrix.shape[0])))
}

/**
 * How far the codes are from being spread as the vectors are: the 2-Wasserstein distance of the two normal distributions with
 * their means and covariances. arXiv 2506.15078
 *
 *     sqrt(|mu_z - mu_E|^2 + tr(S_z + S_E - 2 (S_z^(1/2) S_E S_z^(1/2))^(1/2)))
 *
 * Both sets are first divided by the largest standard deviation of a dimension of the vectors.
 * @param z `[N, d]`; held constant
 * @param codes `[K, d]`
 * @param counts 1 where a vector counts, else 0, `[N]`; null when all count
 * @returns a scalar, differentiable towards `codes`
 */
export function wassersteinDistance(z: tf.Tensor2D, codes: tf.Tensor2D, counts: tf.Tensor1D | null): tf.Scalar {
  return tf.tidy(() => {
    const fixed = stopGradient(z)
    const raw = gaussian(fixed, counts)
    const variances = tf.sum(tf.mul(raw.covariance, tf.eye(z.shape[1])), 1) // [d]
    const unit = tf.add(tf.sqrt(tf.max(variances)), 1e-8)
    const [vectors, book] = [gaussian(tf.div(fixed, unit), counts), gaussian(tf.div(codes, unit), null)]
    const { root } = squareRoot(vectors.covariance)
    const apart = tf.sum(tf.squaredDifference(vectors.mean, book.mean))
    const both = trace(tf.add(vectors.covariance, book.covariance))
    const spread = tf.relu(tf.sub(both, tf.mul(2, traceOfRoot(root, book.covariance))))
    return tf.sqrt(tf.add(tf.add(apart, spread), 1e-10))
  })
}

/** Matches the codes' distribution to the vectors': `weight * wassersteinDistance`. */
export function wassersteinLoss(weight = 0.5): LossTerm {
  const term: LossTerm = ({ z, codes, counts }) => tf.mul(weight, wassersteinDistance(z, codes, counts))
  return Object.assign(term, { trainsCodes: true as const })
}

/** Mean `[d]` and unbiased covariance `[d, d]` of the rows that count. */
function gaussian(rows: tf.Tensor2D, counts: tf.Tensor1D | null): { mean: tf.Tensor1D; covariance: tf.Tensor2D } {
  const weights = tf.expandDims(counts ?? tf.ones([rows.shape[0]]), 1) // [N, 1]
  const total = tf.sum(weights)
  const mean = tf.div(tf.sum(tf.mul(rows, weights), 0), tf.maximum(total, 1)) as tf.Tensor1D
  const centred = tf.mul(tf.sub(rows, mean), weights) as tf.Tensor2D
  const covariance = tf.div(tf.matMul(centred, centred, true), tf.maximum(tf.sub(total, 1), 1)) as tf.Tensor2D
  return { mean, covariance }
}
