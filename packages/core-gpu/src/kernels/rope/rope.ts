import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { describeShape, describeValue, requireInteger, requireTensor } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'
import { rotaryReference } from './reference.ts'

/** Cosine and sine of the angle of each position and pair. */
export interface RotaryTables {
  /** [L, pairs] */
  readonly cos: tf.Tensor2D
  /** [L, pairs] */
  readonly sin: tf.Tensor2D
}

/** How `rotary` finds its pairs. */
export interface RotaryOptions {
  /** pairs (2 i, 2 i + 1), as DeepSeek has them, or (i, i + pairs), as LLaMA (default) */
  readonly layout?: 'interleaved' | 'half'
  /** whether the first 2 pairs dimensions turn (default) or the last; the others stay */
  readonly at?: 'first' | 'last'
  /** whether to turn back; default false */
  readonly inverse?: boolean
}

/** What the kernel XRotary takes beside x, cos and sin. */
export interface RotaryAttributes {
  readonly interleaved: boolean
  /** the first dimension that turns */
  readonly start: number
  /** 1, or -1 to turn back */
  readonly direction: number
}

/**
 * Turns pairs of dimensions by angles that grow with the position (rotary position embedding, arXiv 2104.09864).
 *
 * (a, b) becomes (a cos - b sin, a sin + b cos). Differentiable in x, by turning back.
 * @param x float32 [..., L, d]
 * @param tables as `rotaryTables` makes them, for L positions and at most d / 2 pairs
 * @returns the shape of x
 * @throws TypeError when something is no tensor
 * @throws RangeError when shapes or options do not fit
 */
export function rotary(x: tf.Tensor, tables: RotaryTables, options: RotaryOptions = {}): tf.Tensor {
  const { layout = 'half', at = 'first', inverse = false } = options
  requireRotary(x, tables)
  if (layout !== 'half' && layout !== 'interleaved')
    throw new RangeError(`options.layout: expected half or interleaved, got ${describeValue(layout)}`)
  if (at !== 'first' && at !== 'last')
    throw new RangeError(`options.at: expected first or last, got ${describeValue(at)}`)
  const pairs = tables.cos.shape[1]
  const start = at === 'first' ? 0 : x.shape.at(-1)! - 2 * pairs
  return turn(x, tables, { interleaved: layout === 'interleaved', start, direction: inverse ? -1 : 1 })
}

function turn(x: tf.Tensor, tables: RotaryTables, attributes: RotaryAttributes): tf.Tensor {
  const differentiable = tf.customGrad((input, save) => {
    ;(save as (tensors: tf.Tensor[]) => void)([tables.cos, tables.sin])
    return {
      value: run(input as tf.Tensor, tables, attributes),
      gradFunc: (dy, saved) => {
        const [cos, sin] = saved as [tf.Tensor2D, tf.Tensor2D]
        return turn(dy as tf.Tensor, { cos, sin }, { ...attributes, direction: -attributes.direction })
      },
    }
  })
  return differentiable(x)
}

function run(x: tf.Tensor, { cos, sin }: RotaryTables, attributes: RotaryAttributes): tf.Tensor {
  if (x.size > 0 && cos.size > 0 && hasKernel('XRotary'))
    return tf.engine().runKernel('XRotary', { x, cos, sin }, { ...attributes })
  return tf.tidy(() => rotaryReference(stopGradient(x), { cos, sin }, attributes))
}

function requireRotary(x: tf.Tensor, { cos, sin }: RotaryTables): void {
  requireTensor('x', x)
  requireTensor('tables.cos', cos)
  requireTensor('tables.sin', sin)
  if (x.rank < 2 || x.dtype !== 'float32')
    throw new RangeError(`x: expected float32 [..., L, d], got ${x.dtype} ${describeShape(x.shape)}`)
  const [length, d] = x.shape.slice(-2) as [number, number]
  if (cos.rank !== 2 || cos.shape[0] !== length || 2 * cos.shape[1] > d)
    throw new RangeError(
      `tables.cos: expected shape [${length}, at most ${Math.floor(d / 2)}], got ${describeShape(cos.shape)}`,
    )
  if (!tf.util.arraysEqual(sin.shape, cos.shape))
    throw new RangeError(`tables.sin: expected shape ${describeShape(cos.shape)}, got ${describeShape(sin.shape)}`)
}

/**
 * The frequencies theta^(-2 i / dim) of the dim / 2 pairs, in float64.
 * @throws RangeError when `dim` is no even whole number of at least 2, or `theta` is not above 0
 */
export function rotaryFrequencies(dim: number, theta = 10_000): Float64Array {
  requireInteger('dim', dim, 2)
  if (dim % 2 !== 0) throw new RangeError(`dim: expected an even number, got ${dim}`)
  if (!(theta > 0)) throw new RangeError(`theta: expected a number > 0, got ${describeValue(theta)}`)
  return Float64Array.from({ length: dim / 2 }, (_, i) => theta ** ((-2 * i) / dim))
}

/**
 * The tables of `rotary`; the caller disposes them.
 *
 * Angles are computed in float64: in float32 they are wrong by far at a position of 100,000.
 * @param positions of the L tokens, or L for 0 ... L - 1
 * @param frequencies radians per position of each pair
 * @param magnitude factor of both tables, as YaRN has it (arXiv 2309.00071)
 * @throws RangeError when a position is not finite or there is no frequency
 */
export function rotaryTables(
  positions: number | ArrayLike<number>,
  frequencies: ArrayLike<number>,
  magnitude = 1,
): RotaryTables {
  if (typeof positions === 'number') requireInteger('positions', positions, 0)
  if (frequencies.length === 0) throw new RangeError('frequencies: expected at least one, got none')
  const places = typeof positions === 'number' ? Array.from({ length: positions }, (_, i) => i) : Array.from(positions)
  const wrong = places.find((position) => !Number.isFinite(position))
  if (wrong !== undefined) throw new RangeError(`positions: expected finite numbers, got ${describeValue(wrong)}`)
  const angles = places.flatMap((position) => Array.from(frequencies, (frequency) => position * frequency))
  const table = (f: (angle: number) => number): tf.Tensor2D =>
    tf.tensor2d(
      Float32Array.from(angles, (angle) => magnitude * f(angle)),
      [places.length, frequencies.length],
    )
  return { cos: table(Math.cos), sin: table(Math.sin) }
}
