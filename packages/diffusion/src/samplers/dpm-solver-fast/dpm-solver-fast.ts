import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import type { Predicted } from '../exponential.ts'
import { singlestep } from '../singlestep.ts'
import { stepwise } from '../stepwise.ts'

export interface DpmSolverFastOptions {
  /** calls of the denoiser in all: 3, 4 or 5 for each 2 steps, 6, 7 or 8 for 3, and so on; default: the fewest */
  readonly evaluations?: number
  /** what is taken for smooth; default `noise` */
  readonly predicted?: Predicted
}

/**
 * DPM-Solver-fast: steps of order 3, and of lower order at the end so that the calls of the denoiser add up.
 *
 * A grid of n steps takes 3 (n - 1) calls, or one or two more; it is meant to be uniform in logSNR. Steps from noise alone and
 * to clean are of order 1, and save the calls. arXiv 2206.00927
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dpmSolverFast: SamplerMethod<DpmSolverFastOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm-solver-fast',
  title: 'DPM-Solver-fast',
  summary: 'Steps of order 3, and of lower order at the end, so that a number of calls is used up.',
  paper: {
    title: 'DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps',
    arxiv: '2206.00927',
    year: 2022,
  },
  options: v.object({
    evaluations: v.optional(integer(1)),
    predicted: v.optional(v.picklist(['denoised', 'noise']), 'noise'),
  }),
  create: ({ evaluations, predicted }) =>
    stepwise(({ denoise, grid }) => {
      const orders = ordersFor(grid.length - 1, evaluations)
      return (x, { step, from, to }) => singlestep(denoise, x, { from, to, order: orders[step]!, predicted })
    }),
})

/** All 3 but the last or the last two. */
function ordersFor(steps: number, evaluations: number = Math.max(1, 3 * (steps - 1))): number[] {
  const spare = evaluations - 3 * (steps - 1)
  const least = Math.max(1, 3 * (steps - 1))
  if (spare < 0 || spare > 2 || evaluations < least)
    throw new RangeError(
      `evaluations: expected ${least} to ${3 * (steps - 1) + 2} for a grid of ${steps} steps, got ${evaluations}`,
    )
  const orders = Array.from({ length: steps }, () => 3)
  if (spare === 0) orders.splice(-2, 2, 2, 1)
  else orders.splice(-1, 1, spare)
  return orders
}
