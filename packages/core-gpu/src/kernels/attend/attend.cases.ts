// Problems of attention for the tests of every backend.
import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { numbers } from '../testing.ts'
import type { AttendOptions, AttendSizes } from './contract.ts'
import type { ExactProblem } from './exact.ts'

/** A problem, drawn from its seed. */
export interface AttendCase {
  readonly sizes: AttendSizes
  readonly options: Pick<AttendOptions, 'causal' | 'scale' | 'softcap' | 'window'>
  /** which sizes of [B, h, L, S] bias and mask have; the others are 1 */
  readonly bias?: readonly boolean[] | undefined
  readonly mask?: readonly boolean[] | undefined
  readonly sinks: boolean
  readonly seed: number
}

const full = (sizes: AttendSizes, axes: readonly boolean[]): number[] =>
  [sizes.batch, sizes.heads, sizes.queries, sizes.keys].map((size, axis) => (axes[axis] ? size : 1))

/** A problem in numbers. */
export function problemOf({ sizes, options, bias, mask, sinks, seed }: AttendCase, amplitude = 1): ExactProblem {
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  const scores = (axes: readonly boolean[], at: number): { shape: number[]; values: Float32Array } => {
    const shape = full(sizes, axes)
    return { shape, values: numbers(tf.util.sizeFromShape(shape), seed + at) }
  }
  const masked = mask && scores(mask, 6)
  const { causal = false, window } = options
  const [left, right] = typeof window === 'number' ? [window - 1, 0] : (window ?? [Infinity, Infinity])
  return {
    sizes,
    q: numbers(batch * heads * queries * width, seed + 1).map((x) => x * amplitude),
    k: numbers(batch * groups * keys * width, seed + 2).map((x) => x * amplitude),
    v: numbers(batch * groups * keys * valueWidth, seed + 3),
    sees: (position, key) => key <= position + (causal ? 0 : right) && key >= position - left,
    ...options,
    ...(bias && { bias: scores(bias, 5) }),
    ...(masked && { mask: { shape: masked.shape, values: masked.values.map((x) => Number(x > -0.3)) } }),
    ...(sinks && { sinks: numbers(heads, seed + 4).map((x) => x * 2) }),
    dOutput: numbers(batch * heads * queries * valueWidth, seed + 7),
    dLogSumExp: numbers(batch * heads * queries, seed + 8),
  }
}

/** A problem in tensors. */
export function tensorsOf({ sizes, q, k, v, bias, mask, sinks }: ExactProblem): {
  q: tf.Tensor4D
  k: tf.Tensor4D
  v: tf.Tensor4D
  bias?: tf.Tensor
  sinks?: tf.Tensor1D
  mask?: tf.Tensor
} {
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  return {
    q: tf.tensor4d(Float32Array.from(q), [batch, heads, queries, width]),
    k: tf.tensor4d(Float32Array.from(k), [batch, groups, keys, width]),
    v: tf.tensor4d(Float32Array.from(v), [batch, groups, keys, valueWidth]),
    ...(bias && { bias: tf.tensor(Float32Array.from(bias.values), [...bias.shape]) }),
    ...(sinks && { sinks: tf.tensor1d(Float32Array.from(sinks)) }),
    ...(mask && { mask: tf.tensor(Uint8Array.from(mask.values), [...mask.shape], 'bool') }),
  }
}

const axes = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean())
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })
const window = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.tuple(fc.nat(20), fc.nat(20)))

/** Random problems, to be given to `problemOf`. */
export const attendCases: fc.Arbitrary<AttendCase> = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    groups: fc.integer({ min: 1, max: 2 }),
    perGroup: fc.integer({ min: 1, max: 3 }),
    queries: fc.integer({ min: 1, max: 70 }),
    keys: fc.integer({ min: 1, max: 70 }),
    width: fc.integer({ min: 1, max: 20 }),
    valueWidth: fc.integer({ min: 1, max: 20 }),
    causal: fc.boolean(),
    window: optional(window),
    scale: optional(fc.constantFrom(0.3, -0.5)),
    softcap: optional(fc.constantFrom(0.7, 5)),
    bias: optional(axes),
    mask: optional(axes),
    sinks: fc.boolean(),
    seed: fc.nat(1000),
  })
  .map(({ batch, groups, perGroup, queries, keys, width, valueWidth, bias, mask, sinks, seed, ...rest }) => ({
    sizes: { batch, heads: groups * perGroup, groups, queries, keys, width, valueWidth },
    options: Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    bias,
    mask,
    sinks,
    seed,
  }))

/** A small problem, but for what is given. */
export const plain = (sizes: Partial<AttendSizes>, rest: Partial<AttendCase> = {}): AttendCase => ({
  sizes: { batch: 1, heads: 2, groups: 1, queries: 9, keys: 13, width: 4, valueWidth: 3, ...sizes },
  options: {},
  sinks: false,
  seed: 5,
  ...rest,
})
