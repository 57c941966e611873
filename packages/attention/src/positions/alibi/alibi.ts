import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import type { PositionEncoding } from '../position.ts'

/**
 * Attention with linear biases: scores fall with the distance, by a slope of each head's own. arXiv 2108.12409
 *
 * Distances are counted in tokens, to either side. A bias of all pairs is not formed at once, but for a block of queries at a time.
 */
export function alibi(): PositionEncoding {
  return {
    encoding: 'alibi',
    bias: (heads, distance) =>
      tf.tidy(() => {
        const slopes = tf.tensor4d(Float32Array.from(alibiSlopes(heads)), [1, heads, 1, 1])
        return tf.neg(tf.mul(slopes, tf.abs(distance)))
      }),
  }
}

/**
 * The slopes of ALiBi: 2^(-8 (s + 1) / h), and for an h that is no power of two those of the power below, then every
 * second one of the power above.
 * @throws RangeError when `heads` is no whole number >= 1
 */
export function alibiSlopes(heads: number): number[] {
  requireInteger('heads', heads, 1)
  const power = 2 ** Math.floor(Math.log2(heads))
  const list = (h: number): number[] => Array.from({ length: h }, (_, s) => 2 ** ((-8 * (s + 1)) / h))
  const between = list(2 * power).filter((_, s) => s % 2 === 0)
  return [...list(power), ...between.slice(0, heads - power)]
}
