import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { adamsBashforth } from '../adams-bashforth.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { alongSlope, firstOrder, noiseIn } from '../probability-flow.ts'
import { type Sampling, type Step, stepwise } from '../stepwise.ts'

export interface IpndmOptions {
  /** how many slopes a step goes by, 1 to 4; default 4 */
  readonly order?: number
}

/**
 * iPNDM: DDIM along the slope of Adams and Bashforth, which starts with the slopes there are. One call a step.
 *
 * The weights are those of equal steps, whatever the grid. From noise alone the step is DDIM's. arXiv 2204.13902
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const ipndm: SamplerMethod<IpndmOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/ipndm',
  title: 'iPNDM',
  summary: 'DDIM along a slope extrapolated from the latest four, without a warm-up: one call a step.',
  paper: { title: 'Fast Sampling of Diffusion Models with Exponential Integrator', arxiv: '2204.13902', year: 2022 },
  options: v.object({ order: v.optional(v.pipe(integer(1), v.maxValue(4)), 4) }),
  create: ({ order }) => stepwise(({ denoise }) => ipndmStep(denoise, order)),
})

/** The step, which remembers up to three slopes. */
export function ipndmStep(denoise: Sampling['denoise'], order: number): Step {
  return (x, { from, to }, earlier) => {
    const denoised = denoise(x, from)
    const slopes = [noiseIn(x, denoised, from), ...earlier].slice(0, order)
    const arrived =
      from === -Infinity ? firstOrder(x, denoised, from, to) : alongSlope(x, adamsBashforth(slopes), from, to)
    return { x: arrived, denoised, memory: slopes.slice(0, 3) }
  }
}
