import * as tf from '@tensorflow/tfjs-core'
import { describeValue, requireShape } from '@x/core-gpu'

export interface MultiscaleOptions {
  /** pixels along one side at which errors are compared, each a divisor of the image's */
  readonly scales: readonly number[]
  /** what is made of the scales: `'paper'`, the sum with weights 1 / scale; `'average'`, their mean. Default `'paper'`. */
  readonly combine?: 'paper' | 'average'
}

/**
 * The mean square of an error averaged over blocks of pixels, at several sizes: the layout counts more than in the mean square
 * of single pixels. arXiv 2301.11093
 * @param error `[B, H, W, C]` with H = W
 * @returns `[B]`
 * @throws RangeError for an error that is no square image, no scales, or a scale that does not divide the image's side
 */
export function multiscaleSquares(error: tf.Tensor, options: MultiscaleOptions): tf.Tensor1D {
  requireShape('error', error, [null, null, null, null])
  const { scales, combine = 'paper' } = options
  const [, height, width] = error.shape as [number, number, number, number]
  if (height !== width) throw new RangeError(`error: expected a square image, got ${height} x ${width}`)
  if (scales.length === 0) throw new RangeError('scales: expected at least one')
  for (const scale of scales)
    if (!Number.isInteger(scale) || scale < 1 || height % scale !== 0)
      throw new RangeError(`scales: expected divisors of ${height}, got ${describeValue(scale)}`)
  if (combine !== 'paper' && combine !== 'average')
    throw new RangeError(`combine: expected "paper" or "average", got ${describeValue(combine)}`)
  return tf.tidy(() => {
    const each = scales.map((scale) => {
      const squares = tf.mean(tf.square(averaged(error as tf.Tensor4D, scale)), [1, 2, 3]) // [B]
      return tf.mul(squares, combine === 'paper' ? 1 / scale : 1 / scales.length)
    })
    return tf.addN(each) as tf.Tensor1D
  })
}

/** Averages over blocks: `[B, H, W, C]` to `[B, s, s, C]`. */
function averaged(x: tf.Tensor4D, scale: number): tf.Tensor4D {
  const [b, h, w, c] = x.shape
  if (h === scale) return x
  const rows = tf.mean(tf.reshape(x, [b * scale, h / scale, w * c]), 1) // [B s, W C]
  const blocks = tf.mean(tf.reshape(rows, [b * scale * scale, w / scale, c]), 1) // [B s s, C]
  return tf.reshape(blocks, [b, scale, scale, c])
}
