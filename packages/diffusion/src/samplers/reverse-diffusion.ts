import type * as tf from '@tensorflow/tfjs-core'
import { alphaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { combine, type Term } from './combine.ts'
import { stepSize } from './probability-flow.ts'

/** The parts of x' = carry x - scale (e^h - 1) D + deviation z. */
export interface DiffusionStep {
  readonly carry: number
  readonly scale: number
  /** signed, as in `ExponentialStep` */
  readonly h: number
  /** standard deviation of the noise that the step adds */
  readonly deviation: number
}

/**
 * The exact step of the reverse diffusion where the clean sample stays as predicted; good from noise alone, and to clean.
 * @param share of the noise that the diffusion adds in reverse, as a variance: 0 is the probability flow, 1 is DDPM
 */
export function diffusionStep(share: number, from: LogSnr, to: LogSnr): DiffusionStep {
  const h = stepSize(from, to)
  // An infinite step forgets x, but not where nothing is drawn in its place.
  const forgetting = share === 0 ? 0 : share * h
  return {
    carry: (sigmaOf(to) / sigmaOf(from)) * Math.exp(-forgetting),
    scale: alphaOf(to),
    h: -(h + forgetting),
    deviation: sigmaOf(to) * Math.sqrt(-Math.expm1(-2 * forgetting)),
  }
}

/**
 * The level to which a step goes without noise, so that noise brings it back to `to`.
 * @param eta 0 for `to` itself, 1 for as much noise as DDPM adds
 */
export function levelBelow(eta: number, from: LogSnr, to: LogSnr): LogSnr {
  return to - Math.log(1 - eta ** 2 + eta ** 2 * Math.exp(from - to))
}

/**
 * Noises x from one level to a lower one.
 * @param noise standard normal, asked for only where it counts
 */
export function noiseUp(x: tf.Tensor, from: LogSnr, to: LogSnr, noise: () => tf.Tensor): tf.Tensor {
  if (from <= to) return x
  return withNoise([[alphaOf(to) / alphaOf(from), x]], sigmaOf(to) * Math.sqrt(-Math.expm1(to - from)), noise)
}

/** A sum of terms and of noise, which is asked for only where it counts. */
export function withNoise(terms: readonly Term[], deviation: number, noise: () => tf.Tensor): tf.Tensor {
  return deviation > 0 ? combine(...terms, [deviation, noise()]) : combine(...terms)
}
