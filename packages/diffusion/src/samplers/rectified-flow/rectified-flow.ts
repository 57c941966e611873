import * as v from 'valibot'
import { alphaOf, type LogSnr, sigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface RectifiedFlowOptions {
  /** 1 for Euler's method with one call a step, 2 for Heun's with two; default 1 */
  readonly order?: 1 | 2
}

/**
 * Along the straight line (1 - s) x0 + s eps, on which the velocity of a rectified flow is eps - x0.
 *
 * Euler's method there is the step of `euler` and `ddim`; Heun's is one of its own, and good from noise alone. The step to
 * clean is Euler's. arXiv 2209.03003
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const rectifiedFlow: SamplerMethod<RectifiedFlowOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/rectified-flow',
  title: 'Rectified flow',
  summary: 'Follows the velocity of a rectified flow, by Euler’s or Heun’s method.',
  paper: {
    title: 'Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow',
    arxiv: '2209.03003',
    year: 2022,
  },
  options: v.object({ order: v.optional(v.picklist([1, 2]), 1) }),
  create: ({ order }) =>
    stepwise(({ denoise }) => (x, { from, to }) => {
      const denoised = denoise(x, from)
      const euler = firstOrder(x, denoised, from, to)
      if (order === 1 || to === Infinity) return { x: euler, denoised }
      const then = denoise(euler, to)
      const weight = ((alphaOf(to) + sigmaOf(to)) * (timeOf(from) - timeOf(to))) / (2 * timeOf(to))
      return { x: combine([1, euler], [weight, then], [-weight, denoised]), denoised: then }
    }),
})

/** s, the flow's time: the share of noise where shares add up to 1. */
function timeOf(level: LogSnr): number {
  return sigmaOf(level) / (alphaOf(level) + sigmaOf(level))
}
