import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, edmSigmaOf, logSnrOfEdmSigma } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder, stepSize } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface HeunOptions {
  /** S_churn: how much noise is added in all, spread over the steps; default 0, none */
  readonly churn?: number
  /** S_min and S_max: the sigma / alpha between which it is added; default 0 and Infinity */
  readonly churnMin?: number
  readonly churnMax?: number
  /** S_noise: the standard deviation of that noise; default 1 */
  readonly churnNoise?: number
}

/**
 * Heun's method in sigma / alpha, with EDM's churn: mean of the slopes at both ends of a step. Two calls a step, order 2.
 *
 * Steps from noise alone and to clean are Euler's, with one call. Samples need a key where `churn` is above 0.
 * arXiv 2206.00364
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const heun: SamplerMethod<HeunOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/heun',
  title: 'Heun',
  summary: 'Follows the mean of the slopes at both ends of a step: two calls a step, order 2.',
  paper: {
    title: 'Elucidating the Design Space of Diffusion-Based Generative Models',
    arxiv: '2206.00364',
    year: 2022,
  },
  options: v.object({
    churn: v.optional(numberFrom(0), 0),
    churnMin: v.optional(numberFrom(0), 0),
    churnMax: v.optional(numberFrom(0), Infinity),
    churnNoise: v.optional(numberFrom(0), 1),
  }),
  create: ({ churn, churnMin, churnMax, churnNoise }) =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, steps, from: left, to }) => {
          let from = left
          const sigma = edmSigmaOf(left)
          if (churn > 0 && Number.isFinite(sigma) && sigma >= churnMin && sigma <= churnMax) {
            const raised = sigma * (1 + Math.min(churn / steps, Math.SQRT2 - 1))
            from = logSnrOfEdmSigma(raised)
            const added = alphaOf(from) * Math.sqrt(raised ** 2 - sigma ** 2) * churnNoise
            x = combine([alphaOf(from) / alphaOf(left), x], [added, noise(step)])
          }
          const denoised = denoise(x, from)
          const euler = firstOrder(x, denoised, from, to)
          if (!Number.isFinite(stepSize(from, to))) return { x: euler, denoised }
          const then = denoise(euler, to)
          // Both slopes point from x to a clean sample; they differ by what those differ.
          const weight = (alphaOf(to) / 2) * Math.expm1(stepSize(from, to))
          return { x: combine([1, euler], [weight, then], [-weight, denoised]), denoised: then }
        },
      { draws: churn > 0 },
    ),
})
