import * as tf from '@tensorflow/tfjs-core'
import { sumOverPairs } from './pairs.ts'
import { asRows } from './samples.ts'

export interface PairEstimateOptions {
  /** leaves each sample's pair with itself out: unbiased, and sometimes below 0; default false */
  readonly unbiased?: boolean
}

/**
 * The energy distance, 2 E|a - b| - E|a - a'| - E|b - b'|: 0 for equal distributions alone, without anything to choose.
 * @param a `[N, ...]`
 * @param b `[M, ...]`
 * @throws RangeError naming the set that is empty, not finite or of another shape
 */
export async function energyDistance(
  a: tf.Tensor,
  b: tf.Tensor,
  { unbiased = false }: PairEstimateOptions = {},
): Promise<number> {
  const [x, y] = asRows(a, b, unbiased ? 2 : 1)
  try {
    const distance = (squares: tf.Tensor): tf.Tensor => tf.sqrt(squares)
    const [n, m] = [x.shape[0], y.shape[0]]
    const between = (await sumOverPairs(x, y, distance)) / (n * m)
    const within = async (z: tf.Tensor2D, size: number): Promise<number> =>
      (await sumOverPairs(z, z, distance)) / (size * (unbiased ? size - 1 : size))
    return 2 * between - (await within(x, n)) - (await within(y, m))
  } finally {
    tf.dispose([x, y])
  }
}
