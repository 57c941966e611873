import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

/**
 * Euler's method in sigma / alpha: follows the slope where it stands. One call of the denoiser a step, order 1.
 *
 * The same step as DDIM without noise, as DPM-Solver++ of order 1, and as Euler along a rectified flow. arXiv 2206.00364
 */
export const euler: SamplerMethod<Record<never, never>> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/euler',
  title: 'Euler',
  summary: 'Follows the slope of the probability flow where it stands: one call a step, order 1.',
  paper: {
    title: 'Elucidating the Design Space of Diffusion-Based Generative Models',
    arxiv: '2206.00364',
    year: 2022,
  },
  options: v.object({}),
  create: () =>
    stepwise(({ denoise }) => (x, { from, to }) => {
      const denoised = denoise(x, from)
      return { x: firstOrder(x, denoised, from, to), denoised }
    }),
})
