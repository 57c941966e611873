import * as v from 'valibot'
import { adamsBashforth } from '../adams-bashforth.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { alongSlope, firstOrder, noiseIn } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

/**
 * PLMS: DDIM along the slope of Adams and Bashforth, whose first step is Heun's. One call a step, two for the first.
 *
 * The weights are those of equal steps, whatever the grid. From noise alone the step is DDIM's. arXiv 2202.09778
 */
export const plms: SamplerMethod<Record<never, never>> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/plms',
  title: 'PLMS',
  summary: 'DDIM along a slope extrapolated from the latest four: one call a step, two for the first.',
  paper: { title: 'Pseudo Numerical Methods for Diffusion Models on Manifolds', arxiv: '2202.09778', year: 2022 },
  options: v.object({}),
  create: () =>
    stepwise(({ denoise }) => (x, { from, to }, earlier) => {
      const denoised = denoise(x, from)
      const slope = noiseIn(x, denoised, from)
      const slopes = [slope, ...earlier]
      const memory = slopes.slice(0, 3)
      if (from === -Infinity) return { x: firstOrder(x, denoised, from, to), denoised, memory }
      if (earlier.length > 0 || to === Infinity)
        return { x: alongSlope(x, adamsBashforth(slopes), from, to), denoised, memory }
      const euler = firstOrder(x, denoised, from, to)
      const then = denoise(euler, to)
      const mean = combine([0.5, slope], [0.5, noiseIn(euler, then, to)])
      return { x: alongSlope(x, mean, from, to), denoised: then, memory }
    }),
})
