import * as tf from '@tensorflow/tfjs-core'
import type { Denoiser } from '../denoiser.ts'
import { alphaOf, sigmaOf } from '../noise-level.ts'
import { goldenRecord } from './golden.ts'

/** A mixture of isotropic Gaussians in the plane, whose exact denoiser is known. */
export interface Mixture {
  /** `[K, 2]` */
  readonly means: readonly (readonly number[])[]
  /** `[K]` */
  readonly variances: readonly number[]
  /** `[K]`, adding up to 1 */
  readonly weights: readonly number[]
}

const { expected, params } = goldenRecord('gmm-definition')

/** The mixture of all records of kind gmm, guidance/gmm and amed. */
export const mixture: Mixture = {
  means: expected['mu'] as number[][],
  variances: expected['variance'] as number[],
  weights: expected['weight'] as number[],
}

/** Where trajectories begin, `[12, 2]` in EDM coordinates at `mixtureSigmas.max`. */
export const mixtureStarts = expected['start'] as [number, number][]

/** EDM's sigmas between which trajectories run. */
export const mixtureSigmas = { min: params['sigmaMin'] as number, max: params['sigmaMax'] as number }

/** Some components alone, their weights made to add up to 1 again. */
export function componentsOf({ means, variances, weights }: Mixture, chosen: readonly number[]): Mixture {
  const total = chosen.reduce((sum, k) => sum + weights[k]!, 0)
  return {
    means: chosen.map((k) => means[k]!),
    variances: chosen.map((k) => variances[k]!),
    weights: chosen.map((k) => weights[k]! / total),
  }
}

/** E[x0 | x] of a mixture in plain tensors, variance preserving, for x `[B, 2]` at any level. */
export function mixtureDenoiser({ means, variances, weights }: Mixture = mixture): Denoiser {
  return (x, logSnr) =>
    tf.tidy(() => {
      const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
      const spread = variances.map((variance) => alpha * alpha * variance + sigma * sigma)
      const row = (values: readonly number[]): tf.Tensor => tf.tensor2d([...values], [1, values.length])
      const mean = tf.tensor2d(means.map((mu) => [...mu])) // [K, 2]
      const off = tf.sub(tf.expandDims(x, 1), tf.mul(alpha, mean)) // [B, K, 2]
      const logits = tf.sub(
        row(weights.map((weight, k) => Math.log(weight / spread[k]!))),
        tf.div(tf.sum(tf.square(off), 2), row(spread.map((value) => 2 * value))),
      ) // [B, K]
      const gain = tf.reshape(row(variances.map((variance, k) => (alpha * variance) / spread[k]!)), [1, -1, 1])
      const each = tf.add(mean, tf.mul(gain, off)) // [B, K, 2]
      return tf.sum(tf.mul(tf.expandDims(tf.softmax(logits), 2), each), 1)
    })
}

/** E[x0 | x] of a mixture for one point in EDM coordinates, in double precision. */
export function mixtureMean(x: readonly number[], edmSigma: number, given: Mixture = mixture): number[] {
  const { means, variances, weights } = given
  const spread = variances.map((variance) => variance + edmSigma * edmSigma)
  const logits = means.map((mu, k) => {
    const squares = mu.reduce((sum, m, i) => sum + (x[i]! - m) ** 2, 0)
    return Math.log(weights[k]! / spread[k]!) - squares / (2 * spread[k]!)
  })
  const greatest = Math.max(...logits)
  const shares = logits.map((logit) => Math.exp(logit - greatest))
  const total = shares.reduce((a, b) => a + b, 0)
  return x.map((value, i) =>
    means.reduce(
      (sum, mu, k) => sum + (shares[k]! / total) * (mu[i]! + (variances[k]! / spread[k]!) * (value - mu[i]!)),
      0,
    ),
  )
}
