import * as v from 'valibot'
import { alphaOf, sigmaOf } from '../../noise-level.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { withNoise } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

/**
 * Sampling of latent consistency models: predicts the clean sample, and noises it anew to the next level. One call a step.
 *
 * For networks that were distilled for it, through their `lcmBoundary`. A step to clean is the prediction. Samples need a
 * key. arXiv 2310.04378
 */
export const lcm: SamplerMethod<Record<never, never>> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/lcm',
  title: 'LCM',
  summary: 'Predicts the clean sample and noises it anew to the next level: one call a step.',
  paper: {
    title: 'Latent Consistency Models: Synthesizing High-Resolution Images with Few-Step Inference',
    arxiv: '2310.04378',
    year: 2023,
  },
  options: v.object({}),
  create: () =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, from, to }) => {
          const denoised = denoise(x, from)
          return { x: withNoise([[alphaOf(to), denoised]], sigmaOf(to), () => noise(step)), denoised }
        },
      { draws: true },
    ),
})
