import * as tf from '@tensorflow/tfjs-core'
import { describeShape } from '../validation/validation.ts'

/** A tensor as golden files write it: plain values, a sine sweep by formula, or one row repeated. */
export type GoldenTensor =
  | { readonly shape: readonly number[]; readonly values: readonly number[] }
  | (Chirp & { readonly shape: readonly number[]; readonly formula: 'chirp' })
  | { readonly shape: readonly number[]; readonly row: GoldenTensor }

/** `amp * sin(a i + b i^2 + c) + off` over the flat index i, in double precision. */
interface Chirp {
  readonly amp: number
  readonly a: number
  readonly b: number
  readonly c: number
  readonly off: number
}

/** `|got - expected| <= abs + rel * |expected|` */
export interface Tolerance {
  readonly abs: number
  readonly rel: number
}

/** The numbers of a golden tensor, row-major, in double precision. */
export function goldenValues(golden: GoldenTensor): Float64Array {
  const size = tf.util.sizeFromShape([...golden.shape])
  if ('values' in golden) return Float64Array.from(golden.values)
  if ('row' in golden) {
    const row = goldenValues(golden.row)
    return Float64Array.from({ length: size }, (_, i) => row[i % row.length]!)
  }
  const { amp, a, b, c, off } = golden
  return Float64Array.from({ length: size }, (_, i) => amp * Math.sin(a * i + b * i * i + c) + off)
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
    const off = Math.abs(values[i]! - value)
    if (!(off <= tolerance.abs + tolerance.rel * Math.abs(value)))
      throw new Error(`${name}[${i}]: got ${values[i]}, expected ${value} (off by ${off})`)
  })
}
