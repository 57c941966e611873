import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, sigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { noiseIn } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface DdimInversionOptions {
  /** how often the noise is predicted again where the step arrived; each costs a call; default 0 */
  readonly refinements?: number
}

/**
 * DDIM backwards: finds the noise from which DDIM arrives at a sample. Its grid falls, from clean (Infinity is allowed) to a
 * finite level.
 *
 * The noise of a step is that at its end, where DDIM will start; it is predicted from the sample before the step, then from
 * where that leads, as often as `refinements` says. One call a step and one for each refinement. arXiv 2010.02502
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const ddimInversion: SamplerMethod<DdimInversionOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/ddim-inversion',
  title: 'DDIM inversion',
  summary: 'Goes from a sample back to the noise from which DDIM makes it.',
  paper: { title: 'Denoising Diffusion Implicit Models', arxiv: '2010.02502', year: 2020 },
  options: v.object({ refinements: v.optional(integer(0), 0) }),
  create: ({ refinements }) =>
    stepwise(
      ({ denoise, grid }) => {
        if (grid.at(-1) === -Infinity) throw new RangeError('grid: expected a finite last level, got -Infinity')
        return (x, { from, to }) => {
          const carry = alphaOf(to) / alphaOf(from)
          let arrived = x
          let denoised = x
          for (let i = 0; i <= refinements; i++) {
            denoised = denoise(arrived, to)
            const noise = noiseIn(arrived, denoised, to)
            arrived = combine([carry, x], [sigmaOf(to) - carry * sigmaOf(from), noise])
          }
          return { x: arrived, denoised }
        }
      },
      { falling: true },
    ),
})
