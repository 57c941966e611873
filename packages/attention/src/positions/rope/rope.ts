import * as tf from '@tensorflow/tfjs-core'
import {
  describeShape,
  describeValue,
  requireInteger,
  rotary,
  rotaryFrequencies,
  type RotaryOptions,
} from '@x/core-gpu'
import type { PositionEncoding, Positions } from '../position.ts'
import { angleTables } from './angles.ts'

/** What a frequency scaling starts from. */
export interface FrequencyContext {
  /** how many dimensions turn: two for each frequency */
  readonly dims: number
  readonly theta: number
  /** radians per position of each pair, in float64 */
  readonly frequencies: Float64Array
}

/** Changes the frequencies, so that longer sequences than those of the training can be read. */
export interface FrequencyScaling {
  frequencies(context: FrequencyContext): Float64Array
  /** factor of what turns; default 1 */
  readonly magnitude?: number
  /** factor of all scores; default 1 */
  readonly scoreScale?: number
}

export interface RopeOptions {
  /** base of the frequencies; default 10,000 */
  readonly theta?: number
  /** pairs (i, i + dims / 2), as LLaMA has them (default), or (2 i, 2 i + 1), as DeepSeek */
  readonly layout?: NonNullable<RotaryOptions['layout']>
  /** how many dimensions of a head turn; default: all */
  readonly dims?: number
  /** which dimensions turn where some do not; default `first` */
  readonly at?: NonNullable<RotaryOptions['at']>
  /** changed frequencies, such as `yarn(...)` or `llama3(...)`; default: none */
  readonly scaling?: FrequencyScaling
}

/**
 * Rotary position embedding: queries and keys turn by angles that grow with their positions, so that a product depends on
 * the distance. arXiv 2104.09864
 *
 * Angles are computed in float64, at whatever position.
 * @throws RangeError naming the option that is out of range
 */
export function rope(options: RopeOptions = {}): PositionEncoding {
  const { theta = 10_000, layout = 'half', dims, at = 'first', scaling } = options
  if (!(theta > 0 && theta < Infinity))
    throw new RangeError(`theta: expected a number > 0, got ${describeValue(theta)}`)
  if (layout !== 'half' && layout !== 'interleaved')
    throw new RangeError(`layout: expected half or interleaved, got ${describeValue(layout)}`)
  if (at !== 'first' && at !== 'last') throw new RangeError(`at: expected first or last, got ${describeValue(at)}`)
  if (dims !== undefined) requireEven('dims', dims)
  const known = new Map<number, Float64Array>()
  const frequenciesOf = (width: number): Float64Array => {
    const count = dims ?? width
    let found = known.get(count)
    if (!found) known.set(count, (found = scaledFrequencies(count, theta, scaling)))
    return found
  }
  const fit = (width: number): void => {
    requireEven('dims', dims ?? width)
    if (dims !== undefined && dims > width)
      throw new RangeError(`dims: expected at most the width ${width} of a head, got ${dims}`)
  }
  return {
    encoding: 'rope',
    ...(scaling?.scoreScale !== undefined && { scoreScale: scaling.scoreScale }),
    fit,
    rotate: (x, positions, { inverse = false } = {}) => {
      fit(x.shape[3])
      return turn(x, positions, frequenciesOf(x.shape[3]), scaling?.magnitude ?? 1, { layout, at, inverse })
    },
  }
}

/**
 * The frequencies of rotary embedding, scaled, in float64.
 * @throws RangeError when `dims` is no even whole number of at least 2
 */
export function scaledFrequencies(dims: number, theta: number, scaling?: FrequencyScaling): Float64Array {
  const frequencies = rotaryFrequencies(dims, theta)
  return scaling ? scaling.frequencies({ dims, theta, frequencies }) : frequencies
}

function turn(
  x: tf.Tensor4D,
  positions: Positions,
  frequencies: Float64Array,
  magnitude: number,
  options: RotaryOptions,
): tf.Tensor4D {
  const [batch, heads, length, width] = x.shape
  const own = positions.some((entry) => typeof entry !== 'number')
  const lists = (own ? positions : [positions]) as readonly (readonly number[])[]
  if ((own && lists.length !== batch) || lists.some((list) => list.length !== length))
    throw new RangeError(
      `positions: expected [${length}] or [${batch}][${length}] for ${describeShape(x.shape)}, got ${describePositions(positions)}`,
    )
  return tf.tidy(() => {
    const tables = angleTables(lists.flat(), frequencies, magnitude)
    if (!own) return rotary(x, tables, options) as tf.Tensor4D
    // One list of positions for the rows of all sequences: the kernel knows one for all heads.
    const rows = tf.reshape(tf.transpose(x, [1, 0, 2, 3]), [heads, batch * length, width])
    const turned = rotary(rows, tables, options)
    return tf.transpose(tf.reshape(turned, [heads, batch, length, width]), [1, 0, 2, 3])
  })
}

function describePositions(positions: Positions): string {
  return `[${positions.length}]${positions.some((entry) => typeof entry !== 'number') ? '[...]' : ''}`
}

function requireEven(name: string, value: number): void {
  requireInteger(name, value, 2)
  if (value % 2 !== 0) throw new RangeError(`${name}: expected an even number, got ${value}`)
}
