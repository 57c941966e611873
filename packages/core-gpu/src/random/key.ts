import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '../validation/validation.ts'
import { threefry2x32 } from './threefry.ts'

/**
 * A splittable source of random numbers: immutable, and the same numbers on every backend.
 *
 * A key used twice gives the same numbers twice; for fresh ones, split it or fold something in.
 */
export interface Key {
  /** @returns `n` keys, independent of one another and of this one */
  split(n: number): Key[]
  /** @returns the key that belongs to `data` (a step, a sample's number), a whole number from 0 to 2^32 - 1 */
  fold(data: number): Key
  /** @returns `n` random 32-bit words */
  bits(n: number): Uint32Array
  /** @returns float32, uniform in [min, max) */
  uniform<R extends tf.Rank = tf.Rank>(shape: tf.ShapeMap[R], options?: UniformOptions): tf.Tensor<R>
  /** @returns float32, normally distributed */
  normal<R extends tf.Rank = tf.Rank>(shape: tf.ShapeMap[R], options?: NormalOptions): tf.Tensor<R>
  /** @returns int32, uniform over low, ..., high - 1 */
  integers<R extends tf.Rank = tf.Rank>(shape: tf.ShapeMap[R], options: IntegersOptions): tf.Tensor<R>
  /** @returns 0, ..., n - 1 in random order */
  permutation(n: number): Int32Array
}

export interface UniformOptions {
  /** default 0 */
  readonly min?: number
  /** default 1 */
  readonly max?: number
}

export interface NormalOptions {
  /** default 0 */
  readonly mean?: number
  /** default 1 */
  readonly standardDeviation?: number
  /** draws beyond this many standard deviations are drawn again; default: none are */
  readonly truncate?: number
}

export interface IntegersOptions {
  /** default 0 */
  readonly low?: number
  readonly high: number
}

/**
 * Makes a key from a seed.
 * @param seed a whole number from 0 to 2^53 - 1
 * @throws RangeError for any other seed
 */
export function key(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`seed: expected a whole number from 0 to 2^53 - 1, got ${String(seed)}`)
  return new ThreefryKey(Math.floor(seed / 2 ** 32), seed >>> 0)
}

// The counter's first word keeps the uses of a key apart, so that no draw repeats a child's words.
const DRAW = 0
const SPLIT = 1
const FOLD = 2
const REDRAW = 3

class ThreefryKey implements Key {
  readonly #k0: number
  readonly #k1: number

  constructor(k0: number, k1: number) {
    this.#k0 = k0
    this.#k1 = k1
  }

  split(n: number): Key[] {
    requireInteger('n', n, 0)
    return Array.from({ length: n }, (_, i) => this.#child(SPLIT, i))
  }

  fold(data: number): Key {
    if (!Number.isInteger(data) || data < 0 || data >= 2 ** 32)
      throw new RangeError(`data: expected a whole number from 0 to 2^32 - 1, got ${String(data)}`)
    return this.#child(FOLD, data)
  }

  bits(n: number): Uint32Array {
    requireInteger('n', n, 0)
    const words = new Uint32Array(n + (n % 2))
    for (let i = 0; i < words.length; i += 2) {
      const [a, b] = threefry2x32(this.#k0, this.#k1, DRAW, i >>> 1)
      words[i] = a
      words[i + 1] = b
    }
    return words.subarray(0, n)
  }

  uniform<R extends tf.Rank>(shape: tf.ShapeMap[R], options: UniformOptions = {}): tf.Tensor<R> {
    const { min = 0, max = 1 } = options
    if (!(min < max)) throw new RangeError(`max: expected numbers min < max, got min ${min}, max ${max}`)
    const values = new Float32Array(tf.util.sizeFromShape(shape))
    const words = this.bits(values.length)
    // 24 bits: every fraction is exact in float32 and below 1; only scaling it may round up to max.
    for (let i = 0; i < values.length; i++) {
      values[i] = min + (max - min) * ((words[i]! >>> 8) * 2 ** -24)
      if (values[i]! >= max) values[i] = min
    }
    return tf.tensor(values, shape, 'float32')
  }

  normal<R extends tf.Rank>(shape: tf.ShapeMap[R], options: NormalOptions = {}): tf.Tensor<R> {
    const { mean = 0, standardDeviation = 1, truncate = Infinity } = options
    if (!(truncate > 0)) throw new RangeError(`truncate: expected a number > 0, got ${String(truncate)}`)
    const values = new Float32Array(tf.util.sizeFromShape(shape))
    let filled = 0
    for (let round = 0; filled < values.length; round++) {
      const source = round === 0 ? this : this.#child(REDRAW, round)
      const wanted = values.length - filled
      const words = source.bits(wanted + (wanted % 2))
      for (let i = 0; i < words.length && filled < values.length; i += 2) {
        // Box-Muller; (w + 1) / 2^32 lies in (0, 1], so the logarithm is finite.
        const radius = Math.sqrt(-2 * Math.log((words[i]! + 1) * 2 ** -32))
        const angle = 2 * Math.PI * (words[i + 1]! * 2 ** -32)
        for (const draw of [radius * Math.cos(angle), radius * Math.sin(angle)]) {
          if (filled < values.length && Math.abs(draw) <= truncate) values[filled++] = mean + standardDeviation * draw
        }
      }
    }
    return tf.tensor(values, shape, 'float32')
  }

  integers<R extends tf.Rank>(shape: tf.ShapeMap[R], options: IntegersOptions): tf.Tensor<R> {
    const { low = 0, high } = options
    if (!Number.isInteger(low) || !Number.isInteger(high) || high <= low)
      throw new RangeError(`high: expected whole numbers low < high, got low ${low}, high ${high}`)
    const words = this.bits(tf.util.sizeFromShape(shape))
    return tf.tensor(
      Int32Array.from(words, (word) => low + below(word, high - low)),
      shape,
      'int32',
    )
  }

  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i)
    const words = this.bits(n)
    for (let i = n - 1; i > 0; i--) {
      const j = below(words[i]!, i + 1)
      ;[order[i], order[j]] = [order[j]!, order[i]!]
    }
    return order
  }

  #child(use: number, data: number): ThreefryKey {
    return new ThreefryKey(...threefry2x32(this.#k0, this.#k1, use, data))
  }
}

/** Scales a 32-bit word to 0, ..., count - 1. */
function below(word: number, count: number): number {
  return Math.floor(word * 2 ** -32 * count)
}
