import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { exponentialStep, inForm, type Predicted } from '../exponential.ts'
import { multistepOrder } from '../multistep-order.ts'
import { multistepWeights } from '../multistep-weights.ts'
import { firstOrder, stepSize } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface DpmSolverMultistepOptions {
  /** 1 to 3; 1 is DDIM; default 2 */
  readonly order?: number
  /** what is taken for smooth: `denoised` is DPM-Solver++, `noise` is DPM-Solver; default `denoised` */
  readonly predicted?: Predicted
  /** how order 2 integrates the difference of the last two; default `midpoint` */
  readonly solver?: 'midpoint' | 'heun'
  /** whether the last steps are of lower order; default: on grids of fewer than 15 steps */
  readonly lowerOrderFinal?: boolean
}

/**
 * DPM-Solver++(2M) and (3M): an exponential integrator through the latest predictions. One call a step, order up to 3.
 *
 * Steps from noise alone and to clean are DDIM's. arXiv 2211.01095
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dpmSolverMultistep: SamplerMethod<DpmSolverMultistepOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm-solver-multistep',
  title: 'DPM-Solver++ multistep',
  summary: 'An exponential integrator through the latest predictions of the clean sample: one call a step.',
  paper: {
    title: 'DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models',
    arxiv: '2211.01095',
    year: 2022,
  },
  options: v.object({
    order: v.optional(v.pipe(integer(1), v.maxValue(3)), 2),
    predicted: v.optional(v.picklist(['denoised', 'noise']), 'denoised'),
    solver: v.optional(v.picklist(['midpoint', 'heun']), 'midpoint'),
    lowerOrderFinal: v.optional(v.boolean()),
  }),
  create: ({ order, predicted, solver, lowerOrderFinal }) =>
    stepwise(({ denoise, grid }) => (x, { step, steps, from, to }, earlier) => {
      const denoised = denoise(x, from)
      if (!Number.isFinite(stepSize(from, to))) return { x: firstOrder(x, denoised, from, to), denoised }
      const latest = [inForm(predicted, x, denoised, from), ...earlier].slice(0, order)
      const used = latest.slice(0, multistepOrder(order, step, steps, lowerOrderFinal))
      const { carry, scale, h } = exponentialStep(predicted, from, to)
      const distances = used.slice(1).map((_, i) => stepSize(grid[step - i - 1]!, grid[step - i]!) / Math.abs(h))
      const weights = multistepWeights(h, distances, solver)
      return {
        x: combine([carry, x], ...used.map((m, i) => [-scale * weights[i]!, m] as const)),
        denoised,
        memory: latest,
      }
    }),
})
