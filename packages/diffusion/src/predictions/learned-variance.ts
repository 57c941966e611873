import * as tf from '@tensorflow/tfjs-core'
import { describeValue } from '@x/core-gpu'
import type { Denoiser } from '../denoiser.ts'
import { type LogSnr, requireLogSnr, sigmaOf } from '../noise-level.ts'
import { callNetwork, cleanOf, type Network, requireOutput } from './network.ts'
import type { Parameterisation } from './parameterisation.ts'

/** A denoiser whose network also says how much noise a step should add. */
export interface LearnedVarianceDenoiser<Condition = unknown> extends Denoiser<Condition> {
  /**
   * @param x `[B, ..., C]`
   * @returns the clean sample, and the variance as a place between its bounds (see `learnedVariance`), both `[B, ..., C]`
   */
  readonly withVariance: (
    x: tf.Tensor,
    logSnr: LogSnr,
    condition?: Condition,
  ) => { denoised: tf.Tensor; fraction: tf.Tensor }
}

/**
 * Makes a denoiser from a network with 2 C channels, of which the second half is a learned variance. arXiv 2102.09672
 * @param network from x `[B, ..., C]` to `[B, ..., 2 C]`: the prediction, then -1 for the smallest variance to 1 for the largest
 * @throws RangeError on use, for an output of another shape
 */
export function learnedVarianceDenoiser<Condition = unknown>(
  network: Network<Condition>,
  parameterisation: Parameterisation,
): LearnedVarianceDenoiser<Condition> {
  const withVariance: LearnedVarianceDenoiser<Condition>['withVariance'] = (x, logSnr, condition) =>
    tf.tidy(() => {
      const output = callNetwork(network, parameterisation, x, logSnr, condition)
      const channels = x.shape.at(-1)!
      requireOutput(output, [...x.shape.slice(0, -1), 2 * channels])
      const [prediction, variance] = tf.split(output, 2, -1) as [tf.Tensor, tf.Tensor]
      return {
        denoised: cleanOf(parameterisation, x, prediction, logSnr),
        fraction: tf.mul(tf.add(variance, 1), 0.5),
      }
    })
  const denoiser: Denoiser<Condition> = (x, logSnr, condition) => {
    const { denoised, fraction } = withVariance(x, logSnr, condition)
    fraction.dispose()
    return denoised
  }
  return Object.assign(denoiser, { withVariance })
}

/** Whether a denoiser says how much noise a step should add. */
export function hasLearnedVariance<Condition>(
  denoiser: Denoiser<Condition>,
): denoiser is LearnedVarianceDenoiser<Condition> {
  return 'withVariance' in denoiser
}

/**
 * The variance of DDPM's step between two levels, for a place between its bounds in the logarithm.
 *
 * The smallest is that of the step given the clean sample, the largest that of the noise the step undoes. arXiv 2102.09672
 * @param fraction 0 for the smallest, 1 for the largest, any shape
 * @param from the level that is left
 * @param to the level that is reached; a step to clean has no variance
 * @throws RangeError unless to is above from
 */
export function learnedVariance(fraction: tf.Tensor, from: LogSnr, to: LogSnr): tf.Tensor {
  requireLogSnr(from)
  if (!(to > from)) throw new RangeError(`to: expected a level above ${from}, got ${describeValue(to)}`)
  const share = -Math.expm1(from - to)
  const [small, large] = [sigmaOf(to) ** 2 * share, sigmaOf(from) ** 2 * share]
  if (small === 0) return tf.zerosLike(fraction)
  return tf.tidy(() => tf.mul(small, tf.exp(tf.mul(fraction, Math.log(large / small)))))
}
