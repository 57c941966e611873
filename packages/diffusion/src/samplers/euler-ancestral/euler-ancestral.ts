import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { firstOrder } from '../probability-flow.ts'
import { levelBelow, noiseUp } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface EulerAncestralOptions {
  /** from 0, Euler's method, to 1, as much noise as DDPM adds; default 1 */
  readonly eta?: number
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * Euler's method to a level below the next, and noise back up to it. One call a step; with `eta` 1 it is DDPM.
 *
 * Samples need a key where `eta` is above 0. arXiv 2011.13456
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const eulerAncestral: SamplerMethod<EulerAncestralOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/euler-ancestral',
  title: 'Euler ancestral',
  summary: 'Goes below the next level by Euler’s method, and back up to it by fresh noise: one call a step.',
  paper: {
    title: 'Score-Based Generative Modeling through Stochastic Differential Equations',
    arxiv: '2011.13456',
    year: 2020,
  },
  options: v.object({ eta: v.optional(numberFrom(0, 1), 1), noise: stepNoiseOption() }),
  create: ({ eta, noise: kind }) =>
    stepwise(
      (sampling) => {
        const noise = noiseOver(sampling, kind)
        return (x, { step, from, to }) => {
          const denoised = sampling.denoise(x, from)
          const below = levelBelow(eta, from, to)
          return {
            x: noiseUp(firstOrder(x, denoised, from, below), below, to, () => noise(step, from, to)),
            denoised,
          }
        }
      },
      { draws: eta > 0 },
    ),
})
