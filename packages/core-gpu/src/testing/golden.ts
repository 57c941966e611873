import * as tf from '@tensorflow/tfjs-core'
import { describeShape } from '../validation/validation.ts'

/** A tensor as golden files write it: plain values, a sine by one of two formulas, or one row repeated. */
export type GoldenTensor =
  | { readonly shape: readonly number[]; readonly values: readonly GoldenNumber[] }
  | (Chirp & { readonly shape: readonly number[]; readonly formula: 'chirp' })
  | (Sweep & { readonly shape: readonly number[]; readonly formula: 'sweep' })
  | { readonly shape: readonly number[]; readonly row: GoldenTensor }

/** `amp * sin(a i + b i^2 + c) + off` over the flat index i, in double precision. */
interface Chirp {
  readonly amp: number
  readonly a: number
  readonly b: number
  readonly c: number
  readonly off: number
}

/** `offset + amp * sin(0.37 i + 0.11 k + 0.017 (i^2 mod 1009))` over the flat index i, in double precision. */
interface Sweep {
  readonly k: number
  /** default 1 */
  readonly amp?: number
  /** default 0 */
  readonly offset?: number
}

/** JSON has no infinities. */
type GoldenNumber = number | 'inf' | '-inf'

/** `|got - expected| <= abs + rel * |expected|` */
export interface Tolerance {
  readonly abs: number
  readonly rel: number
}

/** The numbers of a golden tensor, row-major, in double precision. */
export function goldenValues(golden: GoldenTensor): Float64Array {
  const size = tf.util.sizeFromShape([...golden.shape])
  if ('values' in golden) return Float64Array.from(golden.values, goldenNumber)
  if ('row' in golden) {
    const row = goldenValues(golden.row)
    return Float64Array.from({ length: size }, (_, i) => row[i % row.length]!)
  }
  if (golden.formula === 'sweep') {
    const { k, amp = 1, offset = 0 } = golden
    return Float64Array.from(
      { length: size },
      (_, i) => offset + amp * Math.sin(0.37 * i + 0.11 * k + 0.017 * ((i * i) % 1009)),
    )
  }
  const { amp, a, b, c, off } = golden
  return Float64Array.from({ length: size }, (_, i) => amp * Math.sin(a * i + b * i * i + c) + off)
}

function goldenNumber(value: GoldenNumber): number {
  return typeof value === 'number' ? value : value === 'inf' ? Infinity : -Infinity
}

/** A golden tensor on the current backend; the caller disposes it. */
export function goldenTensor<R extends tf.Rank = tf.Rank>(
  golden: GoldenTensor,
  dtype: 'float32' | 'int32' = 'float32',
): tf.Tensor<R> {
  return tf.tensor(Array.from(goldenValues(golden)), [...golden.shape] as tf.ShapeMap[R], dtype)
}

/**
 * Compares a tensor with golden values.
 * @throws Error naming the tensor, the first element that is off, and by how much
 */
export async function expectGolden(
  name: string,
  got: tf.Tensor | number,
  expected: GoldenTensor | number,
  tolerance: Tolerance,
): Promise<void> {
  const wanted = typeof expected === 'number' ? Float64Array.of(expected) : goldenValues(expected)
  const values = typeof got === 'number' ? [got] : await got.data()
  if (typeof got !== 'number' && typeof expected !== 'number' && !tf.util.arraysEqual(got.shape, [...expected.shape]))
    throw new Error(`${name}: shape ${describeShape(got.shape)}, expected ${describeShape(expected.shape)}`)
  if (values.length !== wanted.length) throw new Error(`${name}: ${values.length} values, expected ${wanted.length}`)
  wanted.forEach((value, i) => {
    if (values[i] === value) return // infinities too
    const off = Math.abs(values[i]! - value)
    if (!(off <= tolerance.abs + tolerance.rel * Math.abs(value)))
      throw new Error(`${name}[${i}]: got ${values[i]}, expected ${value} (off by ${off})`)
  })
}
