import * as tf from '@tensorflow/tfjs-core'
import type { Denoiser } from '../denoiser.ts'
import { hasLearnedVariance, type LearnedVarianceDenoiser } from './learned-variance.ts'

/**
 * Passes what a denoiser predicts through a function; a learned variance stays as it is.
 * @param f from `[B, ...]` to the same shape, may leave its intermediate tensors to the caller
 */
export function mapDenoised<Condition>(
  denoiser: Denoiser<Condition>,
  f: (denoised: tf.Tensor) => tf.Tensor,
): Denoiser<Condition> {
  const mapped: Denoiser<Condition> = (x, logSnr, condition) => tf.tidy(() => f(denoiser(x, logSnr, condition)))
  if (!hasLearnedVariance(denoiser)) return mapped
  const withVariance: LearnedVarianceDenoiser<Condition>['withVariance'] = (x, logSnr, condition) =>
    tf.tidy(() => {
      const { denoised, fraction } = denoiser.withVariance(x, logSnr, condition)
      return { denoised: f(denoised), fraction }
    })
  return Object.assign(mapped, { withVariance })
}
