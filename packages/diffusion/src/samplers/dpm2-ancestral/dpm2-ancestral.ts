import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { dpm2Step } from '../dpm2-step.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { levelBelow, noiseUp } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface Dpm2AncestralOptions {
  /** from 0, DPM-2, to 1, as much noise as DDPM adds; default 1 */
  readonly eta?: number
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * DPM-2 to a level below the next, and noise back up to it. Two calls a step.
 *
 * Steps from noise alone and to clean have one call. Samples need a key where `eta` is above 0. arXiv 2206.00364
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dpm2Ancestral: SamplerMethod<Dpm2AncestralOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm2-ancestral',
  title: 'DPM-2 ancestral',
  summary: 'Goes below the next level by DPM-2, and back up to it by fresh noise: two calls a step.',
  paper: {
    title: 'Elucidating the Design Space of Diffusion-Based Generative Models',
    arxiv: '2206.00364',
    year: 2022,
  },
  options: v.object({ eta: v.optional(numberFrom(0, 1), 1), noise: stepNoiseOption() }),
  create: ({ eta, noise: kind }) =>
    stepwise(
      (sampling) => {
        const noise = noiseOver(sampling, kind)
        return (x, { step, from, to }) => {
          const below = levelBelow(eta, from, to)
          const { x: arrived, denoised } = dpm2Step(sampling.denoise, x, from, below)
          return { x: noiseUp(arrived, below, to, () => noise(step, from, to)), denoised }
        }
      },
      { draws: eta > 0 },
    ),
})
