import * as tf from '@tensorflow/tfjs-core'
import { describeValue, type RotaryTables } from '@x/core-gpu'

/**
 * Cosine and sine of position times frequency, right at any position that float64 can name.
 *
 * The product of two float64 is no float64: at position 2^40 its rounding alone turns by 1e-4. What is rounded off is
 * computed exactly (T. J. Dekker, 1971) and turned by as well; of the rest, the platform's cosine takes off the multiples
 * of 2 pi exactly.
 */
export function cosineAndSine(position: number, frequency: number): [cosine: number, sine: number] {
  const angle = position * frequency
  const rest = roundedOff(position, frequency, angle)
  const [c, s, dc, ds] = [Math.cos(angle), Math.sin(angle), Math.cos(rest), Math.sin(rest)]
  return [c * dc - s * ds, s * dc + c * ds]
}

/** a b minus the float64 `product` of both. */
function roundedOff(a: number, b: number, product: number): number {
  const [a1, a2] = halves(a)
  const [b1, b2] = halves(b)
  return a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2)
}

/** Two numbers of 26 bits whose sum is x. */
function halves(x: number): [number, number] {
  const shifted = (2 ** 27 + 1) * x
  const high = shifted - (shifted - x)
  return [high, x - high]
}

/**
 * Tables of `rotary` for positions of any size; the caller disposes them.
 * @param positions of L tokens
 * @param frequencies radians per position of each pair
 * @param magnitude factor of both tables
 * @returns [L, pairs]
 * @throws RangeError when a position is no whole number that float64 holds exactly
 */
export function angleTables(positions: readonly number[], frequencies: ArrayLike<number>, magnitude = 1): RotaryTables {
  const [rows, pairs] = [positions.length, frequencies.length]
  const cos = new Float32Array(rows * pairs)
  const sin = new Float32Array(rows * pairs)
  positions.forEach((position, row) => {
    if (!Number.isSafeInteger(position))
      throw new RangeError(`positions: expected whole numbers within 2^53, got ${describeValue(position)}`)
    for (let pair = 0; pair < pairs; pair++) {
      const [c, s] = cosineAndSine(position, frequencies[pair]!)
      cos[row * pairs + pair] = magnitude * c
      sin[row * pairs + pair] = magnitude * s
    }
  })
  return { cos: tf.tensor2d(cos, [rows, pairs]), sin: tf.tensor2d(sin, [rows, pairs]) }
}
