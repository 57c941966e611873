import type * as tf from '@tensorflow/tfjs-core'
import * as v from 'valibot'
import { adamsBashforth } from '../adams-bashforth.ts'
import { averagedOption, type AveragedOptions, noiseOf, outputOf } from '../averaged-prediction.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { alongSlope, firstOrder } from '../probability-flow.ts'
import { stepwise } from '../stepwise.ts'

/**
 * PLMS: DDIM along the slope of Adams and Bashforth, whose first step is Heun's. One call a step, two for the first.
 *
 * The weights are those of equal steps, whatever the grid. From noise alone the step is DDIM's. arXiv 2202.09778
 * @throws TypeError naming the option that is wrong
 */
export const plms: SamplerMethod<AveragedOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/plms',
  title: 'PLMS',
  summary: 'DDIM along a slope extrapolated from the latest four: one call a step, two for the first.',
  paper: { title: 'Pseudo Numerical Methods for Diffusion Models on Manifolds', arxiv: '2202.09778', year: 2022 },
  options: v.object({ averaged: averagedOption }),
  create: ({ averaged }) =>
    stepwise(({ denoise }) => (x, { from, to }, earlier) => {
      const outputAt = outputOf(denoise, averaged)
      const follow = (output: tf.Tensor): tf.Tensor => alongSlope(x, noiseOf(output, x, from, averaged), from, to)
      const { output, denoised } = outputAt(x, from)
      const outputs = [output, ...earlier]
      const memory = outputs.slice(0, 3)
      if (from === -Infinity) return { x: firstOrder(x, denoised, from, to), denoised, memory }
      if (earlier.length > 0 || to === Infinity) return { x: follow(adamsBashforth(outputs)), denoised, memory }
      const then = outputAt(firstOrder(x, denoised, from, to), to)
      return { x: follow(combine([0.5, output], [0.5, then.output])), denoised: then.denoised, memory }
    }),
})
