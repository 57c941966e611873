import { integer, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { multistepOrder } from '../multistep-order.ts'
import { multistepWeights } from '../multistep-weights.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { stepSize } from '../probability-flow.ts'
import { diffusionStep, withNoise } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface SdeDpmSolverMultistepOptions {
  /** 1 to 3; 1 is DDPM where `eta` is 1; default 2 */
  readonly order?: number
  /** the share of noise, as a variance: 0 is DPM-Solver++, 1 the reverse diffusion of DDPM; default 1 */
  readonly eta?: number
  /** how order 2 integrates the difference of the last two; default `midpoint` */
  readonly solver?: 'midpoint' | 'heun'
  /** whether the last steps are of lower order; default: on grids of fewer than 15 steps */
  readonly lowerOrderFinal?: boolean
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * SDE-DPM-Solver++(2M) and (3M): the reverse diffusion, solved through the latest predictions. One call a step.
 *
 * Steps from noise alone and to clean are of order 1. Samples need a key where `eta` is above 0. arXiv 2211.01095
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const sdeDpmSolverMultistep: SamplerMethod<SdeDpmSolverMultistepOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/sde-dpm-solver-multistep',
  title: 'SDE-DPM-Solver++ multistep',
  summary: 'The reverse diffusion, solved through the latest predictions of the clean sample: one call a step.',
  paper: {
    title: 'DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models',
    arxiv: '2211.01095',
    year: 2022,
  },
  options: v.object({
    order: v.optional(v.pipe(integer(1), v.maxValue(3)), 2),
    eta: v.optional(numberFrom(0), 1),
    solver: v.optional(v.picklist(['midpoint', 'heun']), 'midpoint'),
    lowerOrderFinal: v.optional(v.boolean()),
    noise: stepNoiseOption(),
  }),
  create: ({ order, eta, solver, lowerOrderFinal, noise: kind }) =>
    stepwise(
      (sampling) => {
        const { denoise, grid } = sampling
        const noise = noiseOver(sampling, kind)
        return (x, { step, steps, from, to }, earlier) => {
          const denoised = denoise(x, from)
          const { carry, scale, h, deviation } = diffusionStep(eta, from, to)
          const finite = Number.isFinite(h)
          const latest = finite ? [denoised, ...earlier].slice(0, order) : []
          const used = finite ? latest.slice(0, multistepOrder(order, step, steps, lowerOrderFinal)) : [denoised]
          const distances = used
            .slice(1)
            .map((_, i) => stepSize(grid[step - i - 1]!, grid[step - i]!) / stepSize(from, to))
          const weights = multistepWeights(h, distances, solver)
          const terms = used.map((prediction, i) => [-scale * weights[i]!, prediction] as const)
          return {
            x: withNoise([[carry, x], ...terms], deviation, () => noise(step, from, to)),
            denoised,
            memory: latest,
          }
        }
      },
      { draws: eta > 0 },
    ),
})
