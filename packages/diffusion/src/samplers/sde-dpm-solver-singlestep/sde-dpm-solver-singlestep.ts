import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { firstOrder, stepSize } from '../probability-flow.ts'
import { levelBelow, noiseUp } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface SdeDpmSolverSinglestepOptions {
  /** from 0, DPM-Solver++(2S), to 1, as much noise as DDPM adds; default 1 */
  readonly eta?: number
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * SDE-DPM-Solver++(2S): a noisy half step, whose prediction then serves for the whole step. Two calls a step.
 *
 * The noise of the half step is a part of that of the whole. Steps from noise alone and to clean have one call. Samples need
 * a key where `eta` is above 0. arXiv 2211.01095
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const sdeDpmSolverSinglestep: SamplerMethod<SdeDpmSolverSinglestepOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/sde-dpm-solver-singlestep',
  title: 'SDE-DPM-Solver++ singlestep',
  summary: 'The reverse diffusion by the prediction from the middle of each step: two calls a step.',
  paper: {
    title: 'DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models',
    arxiv: '2211.01095',
    year: 2022,
  },
  options: v.object({ eta: v.optional(numberFrom(0, 1), 1), noise: stepNoiseOption() }),
  create: ({ eta, noise: kind }) =>
    stepwise(
      (sampling) => {
        const { denoise } = sampling
        const noise = noiseOver(sampling, kind)
        return (x, { step, from, to }) => {
          const denoised = denoise(x, from)
          const below = levelBelow(eta, from, to)
          const first = firstOrder(x, denoised, from, below)
          if (!Number.isFinite(stepSize(from, to)))
            return { x: noiseUp(first, below, to, () => noise(step, from, to)), denoised }
          const middle = (from + to) / 2
          const belowMiddle = levelBelow(eta, from, middle)
          const early = eta > 0 ? noise(step, from, middle) : undefined
          const halfway = noiseUp(firstOrder(x, denoised, from, belowMiddle), belowMiddle, middle, () => early!)
          const then = denoise(halfway, middle)
          const weight = alphaOf(below) * Math.expm1(-stepSize(from, below))
          const whole = combine([1, first], [weight, denoised], [-weight, then])
          return {
            x: noiseUp(whole, below, to, () => {
              // What the motion does over both halves, by the signal-to-noise ratios that are its clock.
              const part = Math.expm1(middle - from) / Math.expm1(to - from)
              return combine([Math.sqrt(part), early!], [Math.sqrt(1 - part), noise(step, middle, to, 1)])
            }),
            denoised: then,
          }
        }
      },
      { draws: eta > 0 },
    ),
})
