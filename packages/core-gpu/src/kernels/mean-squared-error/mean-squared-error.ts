import * as tf from '@tensorflow/tfjs-core'
import { requireShape, requireTensor } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'

/**
 * The mean of the squared differences of all elements, differentiable towards both.
 *
 * Kernels: XMeanSquaredError, and XMeanSquaredErrorGradient, which gives the gradient towards `a`.
 * @param a float32, any shape
 * @param b of the same shape
 * @returns `[]`; NaN when there are no elements
 * @throws RangeError when the shapes differ
 */
export function meanSquaredError(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  requireTensor('a', a)
  requireTensor('b', b)
  requireShape('b', b, a.shape)
  const isFused = hasKernel('XMeanSquaredError') && a.size > 0 && a.dtype === 'float32' && b.dtype === 'float32'
  if (isFused) return tf.engine().runKernel('XMeanSquaredError', { a, b })
  return tf.tidy(() => tf.mean(tf.squaredDifference(a, b)))
}
