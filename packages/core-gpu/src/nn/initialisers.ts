import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '../random/key.ts'
import { describeShape } from '../validation/validation.ts'

/** How many inputs feed one output of a weight, and how many outputs one input feeds. */
export interface Fan {
  readonly in: number
  readonly out: number
}

/** Makes a weight's first values. */
export type Initialiser = (shape: number[], fan: Fan, key: Key) => tf.Tensor

export interface UniformInitialiserOptions {
  /** default -0.05 */
  readonly min?: number
  /** default 0.05 */
  readonly max?: number
}

export interface NormalInitialiserOptions {
  /** default 0 */
  readonly mean?: number
  /** default 0.02 */
  readonly standardDeviation?: number
}

export interface TruncatedNormalInitialiserOptions extends NormalInitialiserOptions {
  /** in standard deviations; default 2 */
  readonly truncate?: number
}

export interface KaimingOptions {
  /** which side's variance is kept: activations' (`in`) or gradients' (`out`); default `in` */
  readonly mode?: 'in' | 'out'
  /** negative slope of the leaky ReLU that follows (0: plain ReLU, 1: none); default 0 */
  readonly slope?: number
}

export interface GainOptions {
  /** default 1 */
  readonly gain?: number
}

/** All 0. */
export function zeros(): Initialiser {
  return (shape) => tf.zeros(shape)
}

/** All 1. */
export function ones(): Initialiser {
  return (shape) => tf.ones(shape)
}

/** Uniform in [min, max). */
export function uniform(options: UniformInitialiserOptions = {}): Initialiser {
  const { min = -0.05, max = 0.05 } = options
  return (shape, _fan, key) => key.uniform(shape, { min, max })
}

/** Normally distributed. */
export function normal(options: NormalInitialiserOptions = {}): Initialiser {
  const { mean = 0, standardDeviation = 0.02 } = options
  return (shape, _fan, key) => key.normal(shape, { mean, standardDeviation })
}

/** Normally distributed; what falls beyond the cut is drawn again. */
export function truncatedNormal(options: TruncatedNormalInitialiserOptions = {}): Initialiser {
  const { mean = 0, standardDeviation = 0.02, truncate = 2 } = options
  return (shape, _fan, key) => key.normal(shape, { mean, standardDeviation, truncate })
}

/**
 * Uniform, keeping the variance through (leaky) ReLU layers (arXiv 1502.01852).
 *
 * With `slope: Math.sqrt(5)` it is PyTorch's default for linear and convolutional weights: uniform within
 * `1 / sqrt(fan in)`.
 */
export function kaimingUniform(options: KaimingOptions = {}): Initialiser {
  return (shape, fan, key) => {
    const bound = Math.sqrt(3) * kaimingDeviation(fan, options)
    return key.uniform(shape, { min: -bound, max: bound })
  }
}

/** Normally distributed, keeping the variance through (leaky) ReLU layers (arXiv 1502.01852). */
export function kaimingNormal(options: KaimingOptions = {}): Initialiser {
  return (shape, fan, key) => key.normal(shape, { standardDeviation: kaimingDeviation(fan, options) })
}

/** Uniform, with variance 2 / (fan in + fan out) (Glorot, Bengio: AISTATS 2010). */
export function xavierUniform(options: GainOptions = {}): Initialiser {
  return (shape, fan, key) => {
    const bound = Math.sqrt(3) * xavierDeviation(fan, options)
    return key.uniform(shape, { min: -bound, max: bound })
  }
}

/** Normally distributed, with variance 2 / (fan in + fan out) (Glorot, Bengio: AISTATS 2010). */
export function xavierNormal(options: GainOptions = {}): Initialiser {
  return (shape, fan, key) => key.normal(shape, { standardDeviation: xavierDeviation(fan, options) })
}

/**
 * A random (semi-)orthogonal matrix `[all but the last dimension, last dimension]` (arXiv 1312.6120).
 * @throws RangeError (on use) when the shape has fewer than two dimensions
 */
export function orthogonal(options: GainOptions = {}): Initialiser {
  const { gain = 1 } = options
  return (shape, _fan, key) => {
    if (shape.length < 2)
      throw new RangeError(`shape: orthogonal needs at least two dimensions, got ${describeShape(shape)}`)
    const columns = shape.at(-1)!
    const rows = tf.util.sizeFromShape(shape) / columns
    const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)]
    const draws = key.normal([count, length])
    const basis = orthonormalise(draws.dataSync() as Float32Array, count, length)
    draws.dispose()
    const value = (r: number, c: number): number => gain * (rows >= columns ? basis[c]![r]! : basis[r]![c]!)
    const values = Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns))
    return tf.tensor(values, shape)
  }
}

/** PyTorch's default for linear and convolutional weights and biases: uniform within `1 / sqrt(fan in)`. */
export function fanInUniform(): Initialiser {
  return kaimingUniform({ slope: Math.sqrt(5) })
}

function kaimingDeviation(fan: Fan, { mode = 'in', slope = 0 }: KaimingOptions): number {
  return Math.sqrt(2 / ((1 + slope ** 2) * fan[mode]))
}

function xavierDeviation(fan: Fan, { gain = 1 }: GainOptions): number {
  return gain * Math.sqrt(2 / (fan.in + fan.out))
}

/** Gram-Schmidt in float64, each projection taken twice, which is as accurate as reflections. */
function orthonormalise(draws: Float32Array, count: number, length: number): Float64Array[] {
  const basis: Float64Array[] = []
  for (let i = 0; i < count; i++) {
    const vector = Float64Array.from(draws.subarray(i * length, (i + 1) * length))
    for (const known of [...basis, ...basis]) {
      const along = dot(vector, known)
      for (let j = 0; j < length; j++) vector[j]! -= along * known[j]!
    }
    const norm = Math.sqrt(dot(vector, vector))
    basis.push(vector.map((v) => v / norm))
  }
  return basis
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
