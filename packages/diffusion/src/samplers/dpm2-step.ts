import type * as tf from '@tensorflow/tfjs-core'
import { alphaOf, type LogSnr } from '../noise-level.ts'
import { combine } from './combine.ts'
import { firstOrder, stepSize } from './probability-flow.ts'
import type { Arrival, Sampling } from './stepwise.ts'

/** A step along the slope found halfway, in the logarithm of sigma / alpha; Euler's where an end is infinite. */
export function dpm2Step(denoise: Sampling['denoise'], x: tf.Tensor, from: LogSnr, to: LogSnr): Arrival {
  const denoised = denoise(x, from)
  const h = stepSize(from, to)
  const euler = firstOrder(x, denoised, from, to)
  if (!Number.isFinite(h)) return { x: euler, denoised }
  const middle = (from + to) / 2
  const then = denoise(firstOrder(x, denoised, from, middle), middle)
  const weight = 2 * alphaOf(to) * Math.sinh(h / 2)
  return { x: combine([1, euler], [weight, then], [-weight, denoised]), denoised: then }
}
