import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, edmSigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { lagrangeWeights } from '../lagrange.ts'
import { multistepOrder } from '../multistep-order.ts'
import { firstOrder, noiseIn, stepSize } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface DeisOptions {
  /** 1 to 3; 1 is DDIM; default 3 */
  readonly order?: number
  /** whether the last steps are of lower order; default: on grids of fewer than 15 steps */
  readonly lowerOrderFinal?: boolean
}

/**
 * DEIS: integrates exactly the polynomial in log(sigma / alpha) through the latest noises (tAB-DEIS). One call a step.
 *
 * Steps from noise alone and to clean are DDIM's. arXiv 2204.13902
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const deis: SamplerMethod<DeisOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/deis',
  title: 'DEIS',
  summary: 'Integrates exactly the polynomial in log sigma through the latest noises: one call a step.',
  paper: { title: 'Fast Sampling of Diffusion Models with Exponential Integrator', arxiv: '2204.13902', year: 2022 },
  options: v.object({
    order: v.optional(v.pipe(integer(1), v.maxValue(3)), 3),
    lowerOrderFinal: v.optional(v.boolean()),
  }),
  create: ({ order, lowerOrderFinal }) =>
    stepwise(({ denoise, grid }) => (x, { step, steps, from, to }, earlier) => {
      const denoised = denoise(x, from)
      const h = stepSize(from, to)
      if (from === -Infinity) return { x: firstOrder(x, denoised, from, to), denoised }
      const noises = [noiseIn(x, denoised, from), ...earlier].slice(0, order)
      if (to === Infinity) return { x: firstOrder(x, denoised, from, to), denoised }
      const used = noises.slice(0, multistepOrder(order, step, steps, lowerOrderFinal))
      const nodes = used.map((_, i) => -stepSize(from, grid[step - i]!))
      const weights = lagrangeWeights(nodes, exponentialMoments(-h, nodes.length))
      return {
        x: combine(
          [alphaOf(to) / alphaOf(from), x],
          ...used.map((noise, i) => [alphaOf(to) * edmSigmaOf(from) * weights[i]!, noise] as const),
        ),
        denoised,
        memory: noises,
      }
    }),
})

/** The integrals of u^k e^u from 0 to `end`, for k = 0, ..., count - 1. */
function exponentialMoments(end: number, count: number): number[] {
  const moments = [Math.expm1(end)]
  for (let k = 1; k < count; k++) moments.push(end ** k * Math.exp(end) - k * moments[k - 1]!)
  return moments
}
