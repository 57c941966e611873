import * as tf from '@tensorflow/tfjs-core'
import type { PairEstimateOptions } from './energy-distance.ts'
import { sumOverPairs } from './pairs.ts'
import { asRows } from './samples.ts'

export interface MaximumMeanDiscrepancyOptions extends PairEstimateOptions {
  /** h of the kernel exp(-|a - b|^2 / 2 h^2); of several the kernels' mean is taken */
  readonly bandwidth: number | readonly number[]
}

/**
 * The squared maximum mean discrepancy with Gaussian kernels, E k(a, a') + E k(b, b') - 2 E k(a, b).
 *
 * Sums of kernels are taken tile by tile.
 * @param a `[N, ...]`
 * @param b `[M, ...]`
 * @throws RangeError naming a bandwidth that is not positive, or the set that is empty, not finite or of another shape
 */
export async function maximumMeanDiscrepancy(
  a: tf.Tensor,
  b: tf.Tensor,
  { bandwidth, unbiased = false }: MaximumMeanDiscrepancyOptions,
): Promise<number> {
  const widths = typeof bandwidth === 'number' ? [bandwidth] : bandwidth
  const bad = widths.length === 0 ? 'none' : widths.find((width) => !(width > 0 && width < Infinity))
  if (bad !== undefined) throw new RangeError(`bandwidth: expected numbers > 0, got ${String(bad)}`)
  const [x, y] = asRows(a, b, unbiased ? 2 : 1)
  try {
    const kernel = (squares: tf.Tensor): tf.Tensor => {
      const each = widths.map((width) => tf.exp(tf.mul(squares, -1 / (2 * width * width))))
      return tf.div(
        each.reduce((sum, one) => tf.add(sum, one)),
        widths.length,
      )
    }
    const [n, m] = [x.shape[0], y.shape[0]]
    const between = (await sumOverPairs(x, y, kernel)) / (n * m)
    const within = async (z: tf.Tensor2D, size: number): Promise<number> => {
      const total = await sumOverPairs(z, z, kernel)
      // A sample's kernel with itself is 1.
      return unbiased ? (total - size) / (size * (size - 1)) : total / (size * size)
    }
    return (await within(x, n)) + (await within(y, m)) - 2 * between
  } finally {
    tf.dispose([x, y])
  }
}
