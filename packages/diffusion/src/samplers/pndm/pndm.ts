import type * as tf from '@tensorflow/tfjs-core'
import * as v from 'valibot'
import type { LogSnr } from '../../noise-level.ts'
import { adamsBashforth } from '../adams-bashforth.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { alongSlope, firstOrder, noiseIn } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface PndmOptions {
  /** the level in the middle of a step of the warm-up; default: halfway in logSNR */
  readonly middle?: (from: LogSnr, to: LogSnr) => LogSnr
}

/**
 * PNDM: DDIM along the slope of Adams and Bashforth, after three steps of Runge and Kutta with four calls each.
 *
 * The weights are those of equal steps, whatever the grid; with steps equal in another time, such as a model's, `middle`
 * says where their middles are. Steps from noise alone and, in the warm-up, to clean are DDIM's. arXiv 2202.09778
 * @throws TypeError naming the option that is wrong
 */
export const pndm: SamplerMethod<PndmOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/pndm',
  title: 'PNDM',
  summary: 'DDIM along a slope extrapolated from the latest four, after a warm-up of Runge and Kutta.',
  paper: { title: 'Pseudo Numerical Methods for Diffusion Models on Manifolds', arxiv: '2202.09778', year: 2022 },
  options: v.object({
    middle: v.optional(
      v.custom<(from: LogSnr, to: LogSnr) => LogSnr>((value) => typeof value === 'function', 'a function'),
      () => halfway,
    ),
  }),
  create: ({ middle }) =>
    stepwise(({ denoise }) => (x, { from, to }, earlier) => {
      const denoised = denoise(x, from)
      const slope = noiseIn(x, denoised, from)
      const slopes = [slope, ...earlier]
      const memory = slopes.slice(0, 3)
      if (from === -Infinity) return { x: firstOrder(x, denoised, from, to), denoised, memory }
      if (slopes.length > 3 || to === Infinity)
        return { x: alongSlope(x, adamsBashforth(slopes), from, to), denoised, memory }

      const between = middle(from, to)
      const slopeAt = (along: tf.Tensor, level: LogSnr): { slope: tf.Tensor; denoised: tf.Tensor } => {
        const there = alongSlope(x, along, from, level)
        const denoised = denoise(there, level)
        return { slope: noiseIn(there, denoised, level), denoised }
      }
      const second = slopeAt(slope, between)
      const third = slopeAt(second.slope, between)
      const fourth = slopeAt(third.slope, to)
      const mean = combine([1 / 6, slope], [1 / 3, second.slope], [1 / 3, third.slope], [1 / 6, fourth.slope])
      return { x: alongSlope(x, mean, from, to), denoised: fourth.denoised, memory }
    }),
})

function halfway(from: LogSnr, to: LogSnr): LogSnr {
  return (from + to) / 2
}
