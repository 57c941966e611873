import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, edmSigmaOf, sigmaOf } from '../../noise-level.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { withNoise } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface ConsistencyOptions {
  /** EDM's sigma of the noise that the model leaves in its prediction; default 0.002 */
  readonly sigmaMin?: number
}

/**
 * Multistep sampling of consistency models: predicts the sample at the lowest level, and noises it to the next. One call a
 * step.
 *
 * For networks that were trained for it, see `consistencyParameterisation`. A step to the lowest level or to clean is the
 * prediction. Samples need a key. arXiv 2303.01469
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const consistency: SamplerMethod<ConsistencyOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/consistency',
  title: 'Consistency',
  summary: 'Predicts the sample at the lowest level of noise, and noises it to the next: one call a step.',
  paper: { title: 'Consistency Models', arxiv: '2303.01469', year: 2023 },
  options: v.object({ sigmaMin: v.optional(numberFrom(0), 0.002) }),
  create: ({ sigmaMin }) =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, from, to }) => {
          const denoised = denoise(x, from)
          const left = sigmaMin / edmSigmaOf(to)
          const deviation = left < 1 ? sigmaOf(to) * Math.sqrt((1 - left) * (1 + left)) : 0
          return { x: withNoise([[alphaOf(to), denoised]], deviation, () => noise(step)), denoised }
        },
      { draws: true },
    ),
})
