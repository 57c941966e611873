import type * as tf from '@tensorflow/tfjs-core'
import { alphaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { noiseIn, stepSize } from './probability-flow.ts'

/** What an exponential integrator takes for smooth over a step: the clean sample, or the noise. */
export type Predicted = 'denoised' | 'noise'

/** The parts of x' = carry x - scale (e^h - 1) m + ..., where h is signed so that both forms read alike. */
export interface ExponentialStep {
  readonly carry: number
  readonly scale: number
  readonly h: number
}

/** The exact linear part of a step between finite levels. */
export function exponentialStep(predicted: Predicted, from: LogSnr, to: LogSnr): ExponentialStep {
  return predicted === 'denoised'
    ? { carry: sigmaOf(to) / sigmaOf(from), scale: alphaOf(to), h: -stepSize(from, to) }
    : { carry: alphaOf(to) / alphaOf(from), scale: sigmaOf(to), h: stepSize(from, to) }
}

/** What is taken for smooth, from the clean sample. */
export function inForm(predicted: Predicted, x: tf.Tensor, denoised: tf.Tensor, level: LogSnr): tf.Tensor {
  return predicted === 'denoised' ? denoised : noiseIn(x, denoised, level)
}

/** phi_k(z): phi_0 = e^z, phi_k = (phi_{k-1} - 1 / (k-1)!) / z, where small z needs the series. */
export function phi(k: number, z: number): number {
  if (Math.abs(z) < 0.5) {
    let term = 1
    for (let n = 1; n <= k; n++) term /= n
    let sum = term
    for (let n = 1; n < 16; n++) sum += term *= z / (n + k)
    return sum
  }
  let [value, inverseFactorial] = [Math.expm1(z) / z, 1]
  for (let n = 2; n <= k; n++) {
    inverseFactorial /= n - 1
    value = (value - inverseFactorial) / z
  }
  return k === 0 ? Math.exp(z) : value
}
