import * as v from 'valibot'
import { alphaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder, stepSize } from '../probability-flow.ts'
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
    stepwise(({ denoise }) => (x, { from, to }) => {
      const denoised = denoise(x, from)
      const h = stepSize(from, to)
      const euler = firstOrder(x, denoised, from, to)
      if (!Number.isFinite(h)) return { x: euler, denoised }
      const middle = (from + to) / 2
      const then = denoise(firstOrder(x, denoised, from, middle), middle)
      const weight = 2 * alphaOf(to) * Math.sinh(h / 2)
      return { x: combine([1, euler], [weight, then], [-weight, denoised]), denoised: then }
    }),
})
