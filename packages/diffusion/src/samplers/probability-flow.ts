import type * as tf from '@tensorflow/tfjs-core'
import { alphaOf, edmSigmaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { combine } from './combine.ts'

/** h, the change of half the logSNR: the step size of exponential integrators. */
export function stepSize(from: LogSnr, to: LogSnr): number {
  return (to - from) / 2
}

/**
 * The exact step where the clean sample stays as predicted: sigma'/sigma x + alpha' (1 - e^-h) D.
 *
 * Euler's step in sigma / alpha and along the straight flow, DDIM and the first order of exponential integrators are all this
 * one. Good from noise alone, and to clean, where it is the prediction itself.
 */
export function firstOrder(x: tf.Tensor, denoised: tf.Tensor, from: LogSnr, to: LogSnr): tf.Tensor {
  return combine([sigmaOf(to) / sigmaOf(from), x], [-alphaOf(to) * Math.expm1(-stepSize(from, to)), denoised])
}

/** The noise in x where the clean sample is `denoised`; also the slope of x / alpha over sigma / alpha. */
export function noiseIn(x: tf.Tensor, denoised: tf.Tensor, level: LogSnr): tf.Tensor {
  return combine([1 / sigmaOf(level), x], [-alphaOf(level) / sigmaOf(level), denoised])
}

/** Moves x along a slope of x / alpha over sigma / alpha; not from noise alone. */
export function alongSlope(x: tf.Tensor, slope: tf.Tensor, from: LogSnr, to: LogSnr): tf.Tensor {
  return combine([alphaOf(to) / alphaOf(from), x], [alphaOf(to) * (edmSigmaOf(to) - edmSigmaOf(from)), slope])
}
