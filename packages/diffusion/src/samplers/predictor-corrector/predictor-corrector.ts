import * as tf from '@tensorflow/tfjs-core'
import { integer, numberBetween } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, edmSigmaOf, sigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { noiseIn } from '../probability-flow.ts'
import { diffusionStep, withNoise } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface PredictorCorrectorOptions {
  /** steps of Langevin's at each level before it is left, each with a call; default 1 */
  readonly corrections?: number
  /** how large they are: the ratio of the score's length to the noise's; default 0.15 */
  readonly signalToNoise?: number
  /** how a level is left: by reverse diffusion where variance explodes, or by ancestral sampling; default `reverse` */
  readonly predictor?: 'reverse' | 'ancestral'
}

/**
 * Predictor-corrector sampling: Langevin's steps at a level, then a step to the next. `corrections` + 1 calls a step.
 *
 * Lengths are taken for each sample by itself, so that it does not depend on its batch. A step to clean is the prediction.
 * The first level must be finite; samples need a key. arXiv 2011.13456
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const predictorCorrector: SamplerMethod<PredictorCorrectorOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/predictor-corrector',
  title: 'Predictor-corrector',
  summary: 'Langevin’s steps at a level, then a step of the reverse diffusion to the next: two calls a step.',
  paper: {
    title: 'Score-Based Generative Modeling through Stochastic Differential Equations',
    arxiv: '2011.13456',
    year: 2020,
  },
  options: v.object({
    corrections: v.optional(integer(0), 1),
    signalToNoise: v.optional(numberBetween(0, Infinity), 0.15),
    predictor: v.optional(v.picklist(['reverse', 'ancestral']), 'reverse'),
  }),
  create: ({ corrections, signalToNoise, predictor }) =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, from, to }) => {
          for (let i = 0; i < corrections; i++) {
            const left = noiseIn(x, denoise(x, from), from)
            const fresh = noise(step, i + 1)
            // The score is -left / sigma; a step is 2 (signalToNoise |fresh| / |score|)^2.
            const ratio = tf.mul(signalToNoise, tf.divNoNan(lengths(fresh), lengths(left)))
            const towards = tf.mul(tf.square(ratio), left)
            x = combine([1, x], [-2 * sigmaOf(from), towards], [2 * sigmaOf(from), tf.mul(ratio, fresh)])
          }
          const denoised = denoise(x, from)
          const { carry, scale, h, deviation } = diffusionStep(1, from, to)
          const exploding = alphaOf(to) * edmSigmaOf(from) * Math.sqrt(-Math.expm1(from - to))
          const added = predictor === 'ancestral' ? deviation : to === Infinity ? 0 : exploding
          return {
            x: withNoise(
              [
                [carry, x],
                [-scale * Math.expm1(h), denoised],
              ],
              added,
              () => noise(step),
            ),
            denoised,
          }
        },
      { draws: true, finiteStart: true },
    ),
})

/** The length of each sample, to scale samples with: `[B, 1, ...]`. */
function lengths(x: tf.Tensor): tf.Tensor {
  return tf.sqrt(
    tf.sum(
      tf.square(x),
      x.shape.slice(1).map((_, i) => i + 1),
      true,
    ),
  )
}
