import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import type { Predicted } from '../exponential.ts'
import { singlestep, singlestepFromGrid } from '../singlestep.ts'
import { stepwise } from '../stepwise.ts'

export interface DpmSolverSinglestepOptions {
  /** 1 to 3; 1 is DDIM; default 2 */
  readonly order?: number
  /** what is taken for smooth: `denoised` is DPM-Solver++, `noise` is DPM-Solver; default `denoised` */
  readonly predicted?: Predicted
  /**
   * What the integral is taken of: `midpoint` the second of two predictions as if it stood in the middle, and a line through
   * the first and the last of three; `heun` a line through two, a parabola through three. Default `midpoint`
   */
  readonly solver?: 'midpoint' | 'heun'
  /**
   * Where the denoiser is called within a step of order 2 or 3. `between`: at levels of its own, so that each step costs
   * `order` calls. `grid`: at the grid's next levels, so that a step goes over as many of them, and each costs one call.
   * Default `between`
   */
  readonly points?: 'between' | 'grid'
}

/**
 * DPM-Solver++(2S) and (3S): an exponential integrator of Runge and Kutta's kind, which remembers nothing.
 *
 * With `points: 'grid'` orders 1, 2, ..., `order` take turns along the grid, lowered at its end. Steps from noise alone and to
 * clean are DDIM's. arXiv 2211.01095
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dpmSolverSinglestep: SamplerMethod<DpmSolverSinglestepOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm-solver-singlestep',
  title: 'DPM-Solver++ singlestep',
  summary: 'An exponential integrator that calls the denoiser within each step and remembers nothing.',
  paper: {
    title: 'DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models',
    arxiv: '2211.01095',
    year: 2022,
  },
  options: v.object({
    order: v.optional(v.pipe(integer(1), v.maxValue(3)), 2),
    predicted: v.optional(v.picklist(['denoised', 'noise']), 'denoised'),
    solver: v.optional(v.picklist(['midpoint', 'heun']), 'midpoint'),
    points: v.optional(v.picklist(['between', 'grid']), 'between'),
  }),
  create: ({ order, predicted, solver, points }) =>
    points === 'between'
      ? stepwise(
          ({ denoise }) =>
            (x, { from, to }) =>
              singlestep(denoise, x, { from, to, order, predicted, solver }),
        )
      : stepwise((sampling) => singlestepFromGrid(sampling, { order, predicted, solver })),
})
