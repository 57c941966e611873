import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireTensor } from '../../validation/validation.ts'
import { addRows } from '../segment-sum/add-rows.ts'
import { gatherRows } from './gather-rows.ts'

/**
 * Picks codes by index, differentiable towards the codebook (a scatter-add, not a one-hot product).
 *
 * An index outside [0, K), such as the -1 that `nearestCode` gives for NaN vectors, gives a row of NaN.
 * @param codebook [K, d]
 * @param indices int32, any shape
 * @returns [...indices.shape, d]
 * @throws RangeError when `codebook` is not [K, d] or `indices` is not int32
 */
export function lookup(codebook: tf.Tensor2D, indices: tf.Tensor): tf.Tensor {
  requireTensor('codebook', codebook)
  requireTensor('indices', indices)
  const [count, d] = codebook.shape
  if (codebook.rank !== 2 || count === 0 || d === 0)
    throw new RangeError(`codebook: expected shape [K, d] with K, d >= 1, got ${describeShape(codebook.shape)}`)
  if (indices.dtype !== 'int32') throw new RangeError(`indices: expected int32, got ${indices.dtype}`)

  const shape = [...indices.shape, d]
  return tf.tidy(() => {
    const ids = tf.reshape(indices, [indices.size]) as tf.Tensor1D // [N]
    const differentiable = tf.customGrad((table, save) => {
      ;(save as (tensors: tf.Tensor[]) => void)([ids])
      return {
        value: tf.reshape(gatherRows(table as tf.Tensor, ids, Number.NaN), shape),
        gradFunc: (dy, saved) => {
          const [picks] = saved as [tf.Tensor1D]
          return addRows(tf.reshape(dy, [picks.size, d]), picks, count)
        },
      }
    })
    return differentiable(codebook)
  })
}
