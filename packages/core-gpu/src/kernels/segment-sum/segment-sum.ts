import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireInteger, requireTensor } from '../../validation/validation.ts'
import { gatherRows } from '../lookup/gather-rows.ts'
import { addRows } from './add-rows.ts'

/**
 * Adds up rows by segment, without forming the N x count one-hot matrix.
 *
 * Rows whose id is not in [0, count) belong to no segment. Differentiable towards `values`.
 * @param values [N, d] or [N]
 * @param ids int32 [N]
 * @returns [count, d] or [count]
 * @throws RangeError when the shapes do not fit, or `count` is no whole number of at least 1
 */
export function segmentSum<T extends tf.Tensor1D | tf.Tensor2D>(values: T, ids: tf.Tensor1D, count: number): T {
  requireTensor('values', values)
  requireTensor('ids', ids)
  requireInteger('count', count, 1)
  if (values.rank !== 1 && values.rank !== 2)
    throw new RangeError(`values: expected shape [N, d] or [N], got ${describeShape(values.shape)}`)
  if (ids.rank !== 1 || ids.shape[0] !== values.shape[0])
    throw new RangeError(`ids: expected shape [${values.shape[0]}], got ${describeShape(ids.shape)}`)
  if (ids.dtype !== 'int32') throw new RangeError(`ids: expected int32, got ${ids.dtype}`)

  const differentiable = tf.customGrad((x, save) => {
    ;(save as (tensors: tf.Tensor[]) => void)([ids])
    return {
      value: addRows(x as tf.Tensor, ids, count),
      gradFunc: (dy, saved) => gatherRows(dy, saved[0] as tf.Tensor1D, 0),
    }
  })
  return differentiable(values) as T
}
