import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { levelBelow, noiseUp } from '../reverse-diffusion.ts'
import { singlestep } from '../singlestep.ts'
import { stepwise } from '../stepwise.ts'

export interface DpmSolverAncestralOptions {
  /** from 0, DPM-Solver++(2S), to 1, as much noise as DDPM adds; default 1 */
  readonly eta?: number
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * DPM-Solver++(2S) to a level below the next, and noise back up to it. Two calls a step.
 *
 * Steps from noise alone and to clean have one call. Samples need a key where `eta` is above 0. arXiv 2211.01095
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dpmSolverAncestral: SamplerMethod<DpmSolverAncestralOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm-solver-ancestral',
  title: 'DPM-Solver++ 2S ancestral',
  summary: 'Goes below the next level by DPM-Solver++(2S), and back up to it by fresh noise: two calls a step.',
  paper: {
    title: 'DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models',
    arxiv: '2211.01095',
    year: 2022,
  },
  options: v.object({ eta: v.optional(numberFrom(0, 1), 1), noise: stepNoiseOption() }),
  create: ({ eta, noise: kind }) =>
    stepwise(
      (sampling) => {
        const noise = noiseOver(sampling, kind)
        return (x, { step, from, to }) => {
          const below = levelBelow(eta, from, to)
          const options = { from, to: below, order: 2, predicted: 'denoised' } as const
          const { x: arrived, denoised } = singlestep(sampling.denoise, x, options)
          return { x: noiseUp(arrived, below, to, () => noise(step, from, to)), denoised }
        }
      },
      { draws: eta > 0 },
    ),
})
