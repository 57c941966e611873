import * as tf from '@tensorflow/tfjs-core'
import * as v from 'valibot'
import { sigmaOf } from '../../noise-level.ts'
import { learnedVariance } from '../../predictions/learned-variance.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { diffusionStep, withNoise } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface DdpmOptions {
  /**
   * Of the noise that a step adds. `small`: of the step given the clean sample; `large`: of the noise that the step undoes;
   * `learned`: between the two, as a denoiser with a learned variance says. Default `small`
   */
  readonly variance?: 'small' | 'large' | 'learned'
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * DDPM: draws the less noisy sample from what it is, given the clean one that is predicted. One call a step.
 *
 * A step to clean is the prediction, without noise. Samples need a key; `learned` needs a denoiser such as
 * `learnedVarianceDenoiser` makes. arXiv 2006.11239
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const ddpm: SamplerMethod<DdpmOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/ddpm',
  title: 'DDPM',
  summary: 'Draws the less noisy sample, given the clean one that is predicted: one call a step.',
  paper: { title: 'Denoising Diffusion Probabilistic Models', arxiv: '2006.11239', year: 2020 },
  options: v.object({
    variance: v.optional(v.picklist(['small', 'large', 'learned']), 'small'),
    noise: stepNoiseOption(),
  }),
  create: ({ variance, noise: kind }) =>
    stepwise(
      (sampling) => {
        const { denoise, withVariance } = sampling
        const noise = noiseOver(sampling, kind)
        if (variance === 'learned' && !withVariance)
          throw new TypeError('denoiser: expected one with a learned variance, got one without')
        return (x, { step, from, to }) => {
          const { denoised, fraction } =
            variance === 'learned' ? withVariance!(x, from) : { denoised: denoise(x, from), fraction: undefined }
          const { carry, scale, h, deviation } = diffusionStep(1, from, to)
          const mean = [
            [carry, x],
            [-scale * Math.expm1(h), denoised],
          ] as const
          const draw = (): tf.Tensor => noise(step, from, to)
          if (to === Infinity || !fraction) {
            const large = to === Infinity ? 0 : sigmaOf(from) * Math.sqrt(-Math.expm1(from - to))
            return { x: withNoise(mean, variance === 'small' ? deviation : large, draw), denoised }
          }
          const added = tf.mul(tf.sqrt(learnedVariance(fraction, from, to)), draw())
          return { x: combine(...mean, [1, added]), denoised }
        }
      },
      { draws: true },
    ),
})
