import * as tf from '@tensorflow/tfjs-core'
import { requireInteger, requireShape } from '@x/core-gpu'

/**
 * The mask of sequences of different lengths, for `quantize`'s option `mask`.
 * @param lengths how many vectors of each sequence count, `[B]`
 * @param size L, how long sequences are with what stands behind them
 * @returns bool, `[B, L]`
 * @throws RangeError when `lengths` is not `[B]`, or `size` no whole number
 */
export function lengthMask(lengths: tf.Tensor | readonly number[], size: number): tf.Tensor2D {
  requireInteger('size', size, 1)
  return tf.tidy(() => {
    const given = lengths instanceof tf.Tensor ? lengths : tf.tensor1d([...lengths])
    requireShape('lengths', given, [null])
    return tf.less(tf.range(0, size), tf.expandDims(tf.cast(given, 'float32'), 1)) as tf.Tensor2D
  })
}
