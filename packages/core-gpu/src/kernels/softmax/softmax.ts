import * as tf from '@tensorflow/tfjs-core'
import { requireTensor } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'

/**
 * exp(x) / sum exp(x) along the last dimension.
 * @param x float32 [..., d]
 * @returns the same shape
 * @throws TypeError when x is no float32 tensor with a last dimension
 */
export function softmax(x: tf.Tensor): tf.Tensor {
  requireLogits(x)
  return tf.softmax(x)
}

/**
 * x - log sum exp(x) along the last dimension.
 *
 * `tf.logSoftmax` is a composition of five operations whatever the backend has; this is one, where there is a kernel.
 * @param x float32 [..., d]
 * @returns the same shape
 * @throws TypeError when x is no float32 tensor with a last dimension
 */
export function logSoftmax(x: tf.Tensor): tf.Tensor {
  requireLogits(x)
  if (!hasKernel(tf.LogSoftmax)) return tf.logSoftmax(x)
  return tf.engine().runKernel(tf.LogSoftmax, { logits: x }, { axis: x.rank - 1 })
}

function requireLogits(x: tf.Tensor): void {
  requireTensor('x', x)
  if (x.rank === 0 || x.dtype !== 'float32')
    throw new TypeError(`x: expected float32 with at least one dimension, got ${x.dtype} of rank ${x.rank}`)
}
