import type * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { numbers } from '../kernels/testing.ts'
import { type Nd, sizeOf } from './nd.ts'

/** An argument of an operation. */
export interface Operand {
  readonly shape: readonly number[]
  readonly dtype: 'float32' | 'int32' | 'bool'
  readonly values: Float64Array
  /** whether the gradient towards it is looked at; default: of every float32 operand */
  readonly differentiate?: boolean
}

/** One call of an operation, with what it must give. */
export interface Trial {
  /** the attributes in words, for the report of a failure */
  readonly about: string
  readonly operands: readonly Operand[]
  run(...operands: tf.Tensor[]): tf.Tensor | tf.Tensor[]
  /** the definition, in float64 */
  reference(...operands: Nd[]): Nd | Nd[]
}

/** An operation with the calls on which it is tried. */
export interface Operation {
  /** its name in TensorFlow.js */
  readonly name: string
  readonly kind: string
  readonly trials: fc.Arbitrary<Trial>
  /** how many times more runs than usual, for operations with many attributes; default 1 */
  readonly effort?: number
}

/** The intervals that operands are drawn from. */
export type Domain = readonly [low: number, high: number]

/** Numbers drawn at random, as float32 has them. */
export function float(shape: readonly number[], seed: number, [low, high]: Domain = [-2, 2]): Operand {
  const values = Float64Array.from(numbers(sizeOf(shape), seed), (u) => Math.fround(low + ((u + 1) / 2) * (high - low)))
  return { shape, dtype: 'float32', values }
}

/** Whole numbers of [low, high], both included. */
export function whole(shape: readonly number[], seed: number, low: number, high: number): Operand {
  const values = Float64Array.from(numbers(sizeOf(shape), seed), (u) =>
    Math.min(high, Math.floor(low + ((u + 1) / 2) * (high - low + 1))),
  )
  return { shape, dtype: 'int32', values }
}

/** Truth values. */
export function truth(shape: readonly number[], seed: number): Operand {
  return { ...whole(shape, seed, 0, 1), dtype: 'bool' }
}

/** An operand of given numbers. */
export function given(
  shape: readonly number[],
  values: Iterable<number>,
  dtype: Operand['dtype'] = 'float32',
): Operand {
  return { shape, dtype, values: Float64Array.from(values) }
}

/** Distinct multiples of a quarter in random order: no ties, and far enough from one another for differences. */
export function distinct(shape: readonly number[], seed: number): Operand {
  const draws = numbers(sizeOf(shape), seed)
  const order = Array.from(draws.keys()).sort((i, j) => draws[i]! - draws[j]! || i - j)
  const values = new Float64Array(draws.length)
  order.forEach((i, rank) => (values[i] = (rank - Math.floor(draws.length / 2)) / 4 + 0.125))
  return { shape, dtype: 'float32', values }
}

/** Towards which no gradient is looked at. */
export function fixed(operand: Operand): Operand {
  return { ...operand, differentiate: false }
}

/** Seeds of operands. */
const seeds: fc.Arbitrary<number> = fc.integer({ min: 1, max: 1_000_000 })

/** Shapes with their sizes in [least, most]; sizes of 0 are rare but come up. */
export function shapes(minRank: number, maxRank: number, most = 4, least = 0): fc.Arbitrary<number[]> {
  const some = fc.integer({ min: Math.max(1, least), max: most })
  const size = least === 0 ? fc.oneof({ weight: 15, arbitrary: some }, { weight: 1, arbitrary: fc.constant(0) }) : some
  return fc.integer({ min: minRank, max: maxRank }).chain((rank) =>
    // High ranks with small sizes.
    fc.array(rank > 4 ? size.map((n) => Math.min(n, 2)) : size, { minLength: rank, maxLength: rank }),
  )
}

/** One of the axes of a shape, counted from the front or from the back. */
export function axisOf(shape: readonly number[]): fc.Arbitrary<number> {
  return fc.integer({ min: -shape.length, max: shape.length - 1 })
}

/** What is tried for one seed and one choice of attributes. */
export function trials<Attributes>(
  attributes: fc.Arbitrary<Attributes>,
  make: (attributes: Attributes, seed: number) => Trial,
): fc.Arbitrary<Trial> {
  return fc.tuple(attributes, seeds).map(([chosen, seed]) => make(chosen, seed))
}
