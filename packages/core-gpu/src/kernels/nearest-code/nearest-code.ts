import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { describeValue, requireInteger, requireLastDimension, requireShape } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'
import { nearestCodeReference, nearestCodesReference } from './reference.ts'

/** How far a code is: by the squared Euclidean distance, or by 1 - cosine. */
export type CodeMetric = 'euclidean' | 'cosine'

export interface NearestCodeOptions {
  /** default `euclidean` */
  readonly metric?: CodeMetric
}

/** What `nearestCode` finds. */
export interface NearestCode {
  /** int32 [N]; of equally near codes the first, -1 where the vector has a NaN */
  readonly indices: tf.Tensor1D
  /** [N]: squared Euclidean, or 1 - cosine, which is 1 where a vector is zero; NaN where the vector has a NaN */
  readonly distances: tf.Tensor1D
}

/**
 * Finds the nearest code for every vector, without forming the N x K distance matrix.
 *
 * No gradient flows through either result. Codes are compared by |c|^2 - 2 x.c, or by the product with the code scaled
 * to length 1, in float32; the distance of the one found is exact.
 * @param x vectors, [N, d]
 * @param codebook codes, [K, d]
 * @throws RangeError when the shapes do not fit, there is no code, or the metric is unknown
 */
export function nearestCode(x: tf.Tensor2D, codebook: tf.Tensor2D, options: NearestCodeOptions = {}): NearestCode {
  const metric = checkedMetric(x, codebook, options)
  if (x.shape[0] === 0) return { indices: tf.tensor1d([], 'int32'), distances: tf.tensor1d([]) }

  const constant = { x: stopGradient(x), codebook: stopGradient(codebook) }
  const [indices, distances] = hasKernel('XNearestCode')
    ? (tf.engine().runKernel('XNearestCode', constant, { metric }) as unknown as [tf.Tensor1D, tf.Tensor1D])
    : tf.tidy(() => nearestCodeReference(constant.x, constant.codebook, metric))
  tf.dispose(constant)
  return { indices, distances }
}

/** What `nearestCodes` finds; both are ordered by distance, equally near codes by index. */
export interface NearestCodes {
  /** int32 [N, count]; -1 where the vector has a NaN, or there are not so many codes without one */
  readonly indices: tf.Tensor2D
  /** [N, count]: squared Euclidean, or 1 - cosine; NaN where the vector has a NaN, infinite where there is no code */
  readonly distances: tf.Tensor2D
}

/**
 * Finds the `count` nearest codes for every vector, without forming the N x K distance matrix.
 *
 * No gradient flows through either result; which codes are nearest is found as in `nearestCode`.
 * @param x vectors, [N, d]
 * @param codebook codes, [K, d]
 * @param count how many codes, 1 to K
 * @throws RangeError when the shapes do not fit, there are fewer codes, or the metric is unknown
 */
export function nearestCodes(
  x: tf.Tensor2D,
  codebook: tf.Tensor2D,
  count: number,
  options: NearestCodeOptions = {},
): NearestCodes {
  const metric = checkedMetric(x, codebook, options)
  requireInteger('count', count, 1)
  if (count > codebook.shape[0])
    throw new RangeError(`count: expected at most the number of codes, ${codebook.shape[0]}, got ${count}`)
  if (x.shape[0] === 0) return { indices: tf.zeros([0, count], 'int32'), distances: tf.zeros([0, count]) }
  const constant = { x: stopGradient(x), codebook: stopGradient(codebook) }
  const [indices, distances] = hasKernel('XNearestCodes')
    ? (tf.engine().runKernel('XNearestCodes', constant, { count, metric }) as unknown as [tf.Tensor2D, tf.Tensor2D])
    : tf.tidy(() => nearestCodesReference(constant.x, constant.codebook, count, metric))
  tf.dispose(constant)
  return { indices, distances }
}

function checkedMetric(x: tf.Tensor2D, codebook: tf.Tensor2D, options: NearestCodeOptions): CodeMetric {
  const { metric = 'euclidean' } = options
  requireShape('codebook', codebook, [null, null])
  requireShape('x', x, [null, null])
  requireLastDimension('x', x, codebook.shape[1])
  if (codebook.size === 0)
    throw new RangeError(`codebook: expected shape [K, d] with K, d >= 1, got [${codebook.shape}]`)
  if (metric !== 'euclidean' && metric !== 'cosine')
    throw new RangeError(`options.metric: expected euclidean or cosine, got ${describeValue(metric)}`)
  return metric
}
