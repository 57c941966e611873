import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireInteger, requireTensor } from '@x/core-gpu'

export interface LayoutOptions {
  /** heads side by side in the first dimension; default 1 */
  readonly heads?: number
  /** how many dimensions of a head turn; default: all */
  readonly dims?: number
  /** which dimensions turn where some do not; default `first` */
  readonly at?: 'first' | 'last'
}

/**
 * Reorders what makes queries or keys, so that pairs (2 i, 2 i + 1) become pairs (i, i + dims / 2).
 *
 * To be done to the projections of queries and keys alike, their biases and the scales of their norms: scores stay as
 * they were.
 * @param weight [heads * d, ...]: a weight [out, in], a bias [out], or a norm's scale [d] with one head
 * @throws TypeError, RangeError when that is no such tensor, or an option does not fit
 */
export function toHalfLayout<T extends tf.Tensor>(weight: T, options: LayoutOptions = {}): T {
  return reorder(weight, options, (place, dims) => (place < dims / 2 ? 2 * place : 2 * place - dims + 1))
}

/**
 * Takes `toHalfLayout` back.
 * @param weight [heads * d, ...]
 * @throws TypeError, RangeError as `toHalfLayout` does
 */
export function toInterleavedLayout<T extends tf.Tensor>(weight: T, options: LayoutOptions = {}): T {
  return reorder(weight, options, (place, dims) => (place % 2 === 0 ? place / 2 : (place - 1 + dims) / 2))
}

function reorder<T extends tf.Tensor>(
  weight: T,
  { heads = 1, dims, at = 'first' }: LayoutOptions,
  source: (place: number, dims: number) => number,
): T {
  requireTensor('weight', weight)
  requireInteger('heads', heads, 1)
  const rows = weight.shape[0] ?? 0
  if (rows === 0 || rows % heads !== 0)
    throw new RangeError(`weight: expected [${heads} * d, ...], got ${describeShape(weight.shape)}`)
  const width = rows / heads
  const turning = dims ?? width
  requireInteger('dims', turning, 2)
  if (turning % 2 !== 0 || turning > width)
    throw new RangeError(`dims: expected an even number of at most ${width}, got ${turning}`)
  const start = at === 'first' ? 0 : width - turning
  const order = Int32Array.from({ length: rows }, (_, row) => {
    const place = (row % width) - start
    return place < 0 || place >= turning ? row : row - place + source(place, turning)
  })
  return tf.tidy(() => tf.gather(weight, tf.tensor1d(order, 'int32')))
}
