import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, edmSigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { lagrangeWeights } from '../lagrange.ts'
import { firstOrder, noiseIn } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface LmsOptions {
  /** how many slopes a step goes by, 1 to 4; default 4 */
  readonly order?: number
}

/**
 * Linear multistep: integrates the polynomial in sigma / alpha through the latest slopes. One call a step, order up to 4.
 *
 * The first steps go by the slopes there are. From noise alone the step is Euler's. The weights are integrated in closed
 * form, for any grid. arXiv 2206.00364
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const lms: SamplerMethod<LmsOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/lms',
  title: 'LMS',
  summary: 'Integrates the polynomial through the latest slopes: one call a step, order up to 4.',
  paper: {
    title: 'Elucidating the Design Space of Diffusion-Based Generative Models',
    arxiv: '2206.00364',
    year: 2022,
  },
  options: v.object({ order: v.optional(v.pipe(integer(1), v.maxValue(4)), 4) }),
  create: ({ order }) =>
    stepwise(({ denoise, grid }) => (x, { step, from, to }, earlier) => {
      const denoised = denoise(x, from)
      if (from === -Infinity) return { x: firstOrder(x, denoised, from, to), denoised }
      const slopes = [noiseIn(x, denoised, from), ...earlier].slice(0, order)
      const nodes = slopes.map((_, i) => edmSigmaOf(grid[step - i]!) - edmSigmaOf(from))
      const width = edmSigmaOf(to) - edmSigmaOf(from)
      const weights = lagrangeWeights(
        nodes,
        nodes.map((_, k) => width ** (k + 1) / (k + 1)),
      )
      return {
        x: combine(
          [alphaOf(to) / alphaOf(from), x],
          ...slopes.map((slope, i) => [alphaOf(to) * weights[i]!, slope] as const),
        ),
        denoised,
        memory: slopes,
      }
    }),
})
