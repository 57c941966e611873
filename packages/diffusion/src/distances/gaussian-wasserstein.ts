import type * as tf from '@tensorflow/tfjs-core'
import { symmetricEigen } from '../distributions/symmetric-eigen.ts'
import { requireSamples } from './samples.ts'

/** Mean and covariance, in double precision. */
export interface GaussianMoments {
  /** `[d]` */
  readonly mean: ArrayLike<number>
  /** `[d, d]` row-major, positive semi-definite */
  readonly covariance: ArrayLike<number>
}

/**
 * Mean and covariance of samples, over N - 1.
 * @param x `[N, ...]`, at least two
 * @throws RangeError for fewer
 */
export async function momentsOf(x: tf.Tensor): Promise<GaussianMoments> {
  requireSamples('x', x, 2)
  const n = x.shape[0]!
  const d = x.size / n
  const values = await x.data<'float32'>()
  const mean = new Float64Array(d)
  values.forEach((value, i) => void (mean[i % d]! += value / n))
  const covariance = new Float64Array(d * d)
  const off = new Float64Array(d)
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < d; i++) off[i] = values[row * d + i]! - mean[i]!
    for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) covariance[i * d + j]! += (off[i]! * off[j]!) / (n - 1)
  }
  return { mean, covariance }
}

/**
 * W2 between two Gaussians: |m - n|^2 + tr(A + B - 2 (B^1/2 A B^1/2)^1/2), its square root.
 *
 * Its square between fitted Gaussians is the Frechet distance that images' features are compared by.
 * @throws RangeError naming the Gaussian whose sizes do not fit, or whose covariance is not positive semi-definite
 */
export function gaussianWasserstein(a: GaussianMoments, b: GaussianMoments): number {
  const d = a.mean.length
  for (const [name, { mean, covariance }] of Object.entries({ a, b }))
    if (mean.length !== d || covariance.length !== d * d)
      throw new RangeError(
        `${name}: expected ${d} means and ${d * d} covariances, got ${mean.length} and ${covariance.length}`,
      )
  const [first, second] = [Float64Array.from(a.covariance), Float64Array.from(b.covariance)]
  const left = squareRoot('a.covariance', first, d).values
  const { root, values: right } = squareRoot('b.covariance', second, d)
  const between = symmetrised(times(times(root, first, d), root, d), d)
  const shared = spectrum('b.covariance', between).values.reduce((sum, value) => sum + Math.sqrt(value), 0)
  const traces = [...left, ...right].reduce((sum, value) => sum + value, 0)
  let shift = 0
  for (let i = 0; i < d; i++) shift += (a.mean[i]! - b.mean[i]!) ** 2
  // Rounding may bring equal Gaussians below 0.
  return Math.sqrt(Math.max(0, shift + traces - 2 * shared))
}

function squareRoot(name: string, matrix: Float64Array, d: number): { root: Float64Array; values: Float64Array } {
  const { values, vectors } = spectrum(name, matrix)
  const root = new Float64Array(d * d)
  for (let k = 0; k < d; k++) {
    const scale = Math.sqrt(values[k]!)
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++) root[i * d + j]! += scale * vectors[i * d + k]! * vectors[j * d + k]!
  }
  return { root, values }
}

function spectrum(name: string, matrix: Float64Array): { values: Float64Array; vectors: Float64Array } {
  const { values, vectors } = symmetricEigen(name, matrix)
  const greatest = values.reduce((most, value) => Math.max(most, value), 0)
  const least = values.reduce((some, value) => Math.min(some, value), 0)
  if (least < -1e-6 * greatest)
    throw new RangeError(`${name}: expected a positive semi-definite matrix, got eigenvalue ${least}`)
  return { values: values.map((value) => Math.max(0, value)), vectors }
}

function times(a: Float64Array, b: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d * d)
  for (let i = 0; i < d; i++)
    for (let k = 0; k < d; k++) for (let j = 0; j < d; j++) out[i * d + j]! += a[i * d + k]! * b[k * d + j]!
  return out
}

function symmetrised(a: Float64Array, d: number): Float64Array {
  return a.map((value, at) => (value + a[(at % d) * d + Math.floor(at / d)]!) / 2)
}
