import type * as tf from '@tensorflow/tfjs-core'
import * as v from 'valibot'
import type { LogSnr } from '../../noise-level.ts'
import { adamsBashforth } from '../adams-bashforth.ts'
import { averagedOption, type AveragedOptions, noiseOf, outputOf } from '../averaged-prediction.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { alongSlope, firstOrder } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

export interface PndmOptions extends AveragedOptions {
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
    averaged: averagedOption,
  }),
  create: ({ middle, averaged }) =>
    stepwise(({ denoise }) => (x, { from, to }, earlier) => {
      const outputAt = outputOf(denoise, averaged)
      const follow = (output: tf.Tensor, level: LogSnr): tf.Tensor =>
        alongSlope(x, noiseOf(output, x, from, averaged), from, level)

      const first = outputAt(x, from)
      const outputs = [first.output, ...earlier]
      const memory = outputs.slice(0, 3)
      if (from === -Infinity) return { x: firstOrder(x, first.denoised, from, to), denoised: first.denoised, memory }
      if (outputs.length > 3 || to === Infinity)
        return { x: follow(adamsBashforth(outputs), to), denoised: first.denoised, memory }

      const between = middle(from, to)
      const second = outputAt(follow(first.output, between), between)
      const third = outputAt(follow(second.output, between), between)
      const fourth = outputAt(follow(third.output, to), to)
      const mean = combine([1 / 6, first.output], [1 / 3, second.output], [1 / 3, third.output], [1 / 6, fourth.output])
      return { x: follow(mean, to), denoised: fourth.denoised, memory }
    }),
})

function halfway(from: LogSnr, to: LogSnr): LogSnr {
  return (from + to) / 2
}
