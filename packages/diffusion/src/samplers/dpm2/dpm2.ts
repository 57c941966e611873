import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { dpm2Step } from '../dpm2-step.ts'
import { stepwise } from '../stepwise.ts'

/**
 * DPM-2: follows the slope found halfway through a step, in the logarithm of sigma / alpha. Two calls a step, order 2.
 *
 * Steps from noise alone and to clean are Euler's, with one call. arXiv 2206.00364
 */
export const dpm2: SamplerMethod<Record<never, never>> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm2',
  title: 'DPM-2',
  summary: 'Follows the slope found halfway through a step: two calls a step, order 2.',
  paper: {
    title: 'Elucidating the Design Space of Diffusion-Based Generative Models',
    arxiv: '2206.00364',
    year: 2022,
  },
  options: v.object({}),
  create: () =>
    stepwise(
      ({ denoise }) =>
        (x, { from, to }) =>
          dpm2Step(denoise, x, from, to),
    ),
})
