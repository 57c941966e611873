import * as tf from '@tensorflow/tfjs-core'
import { hasKernel } from '../kernels/registry.ts'

/** Gradients brought under a norm; all tensors in it are the caller's. */
export interface ClippedGradients {
  readonly gradients: Record<string, tf.Tensor>
  /** before clipping */
  readonly norm: tf.Scalar
}

/** The Euclidean norm of all gradients taken as one vector, []; 0 when there are none. */
export function globalNorm(gradients: Record<string, tf.Tensor>): tf.Scalar {
  return tf.tidy(() => {
    return Object.keys(gradients).length === 0 ? tf.scalar(0) : tf.sqrt(squareSum(gradients))
  }) as tf.Scalar
}

function squareSum(gradients: Record<string, tf.Tensor>): tf.Tensor {
  if (hasKernel('XSquareSum')) return tf.engine().runKernel('XSquareSum', gradients)
  return tf.addN(Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient))))
}

/**
 * Scales all gradients by one factor so that their global norm is at most `max` (arXiv 1211.5063).
 * @throws RangeError when `max` is not > 0
 */
export function clipByGlobalNorm(gradients: Record<string, tf.Tensor>, max: number): ClippedGradients {
  requireMaximum(max)
  const norm = globalNorm(gradients)
  const clipped = tf.tidy(() => {
    const factor = tf.minimum(tf.div(max, tf.add(norm, 1e-6)), 1)
    return Object.fromEntries(Object.entries(gradients).map(([path, gradient]) => [path, tf.mul(gradient, factor)]))
  })
  return { gradients: clipped, norm }
}

/** @throws RangeError when `max` is not > 0 */
export function requireMaximum(max: number): void {
  if (!(max > 0)) throw new RangeError(`max: expected a number > 0, got ${max}`)
}
