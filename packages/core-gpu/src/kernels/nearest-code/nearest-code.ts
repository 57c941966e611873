import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { requireLastDimension, requireShape } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'
import { nearestCodeReference } from './reference.ts'

/** What `nearestCode` finds. */
export interface NearestCode {
  /** int32 [N]; of equally near codes the first, -1 where the vector has a NaN */
  readonly indices: tf.Tensor1D
  /** squared Euclidean distances [N]; NaN where the vector has a NaN */
  readonly distances: tf.Tensor1D
}

/**
 * Finds the nearest code for every vector, without forming the N x K distance matrix.
 *
 * No gradient flows through either result. Codes are compared by |c|^2 - 2 x.c in float32; the distance of the one
 * found is exact.
 * @param x vectors, [N, d]
 * @param codebook codes, [K, d]
 * @throws RangeError when the shapes do not fit, or there is no code
 */
export function nearestCode(x: tf.Tensor2D, codebook: tf.Tensor2D): NearestCode {
  requireShape('codebook', codebook, [null, null])
  requireShape('x', x, [null, null])
  requireLastDimension('x', x, codebook.shape[1])
  if (codebook.size === 0)
    throw new RangeError(`codebook: expected shape [K, d] with K, d >= 1, got [${codebook.shape}]`)
  if (x.shape[0] === 0) return { indices: tf.tensor1d([], 'int32'), distances: tf.tensor1d([]) }

  const constant = { x: stopGradient(x), codebook: stopGradient(codebook) }
  const [indices, distances] = hasKernel('XNearestCode')
    ? (tf.engine().runKernel('XNearestCode', constant) as unknown as [tf.Tensor1D, tf.Tensor1D])
    : tf.tidy(() => nearestCodeReference(constant.x, constant.codebook))
  tf.dispose(constant)
  return { indices, distances }
}
