import { numberBetween } from '@x/core-gpu'
import * as v from 'valibot'
import type * as tf from '@tensorflow/tfjs-core'
import { alphaOf, type LogSnr } from '../../noise-level.ts'
import { adaptive, errorBetween, type StepControl } from '../adaptive.ts'
import { combine, type Term } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'

export interface Rk45Options {
  /** the error that a step may make, as a share of x and in itself; float32 carries about 1e-6; default 1e-5 */
  readonly tolerance?: number
  /** the first step, of half the logSNR; default 0.05 */
  readonly firstStep?: number
}

/**
 * Dormand and Prince's method of order 5 with an error of order 4: a reference for other samplers. Six calls a try.
 *
 * It solves dx / dlogSNR = alpha / 2 (D - alpha x), which is smooth at both ends. Of the grid only the levels count that must be
 * met; two will do. The first must be finite. arXiv 2011.13456
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const rk45: SamplerMethod<Rk45Options> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/rk45',
  title: 'RK45',
  summary: 'Dormand and Prince’s adaptive method of order 5, as a reference for other samplers.',
  paper: {
    title: 'Score-Based Generative Modeling through Stochastic Differential Equations',
    arxiv: '2011.13456',
    year: 2020,
  },
  options: v.object({
    tolerance: v.optional(numberBetween(0, 1), 1e-5),
    firstStep: v.optional(numberBetween(0, Infinity), 0.05),
  }),
  create: ({ tolerance, firstStep }) =>
    adaptive(
      ({ denoise }) => {
        const slopeAt = (x: tf.Tensor, level: LogSnr): { slope: tf.Tensor; denoised: tf.Tensor } => {
          const denoised = denoise(x, level)
          const alpha = alphaOf(level)
          return { slope: combine([alpha / 2, denoised], [(-alpha * alpha) / 2, x]), denoised }
        }
        // The last slope of a step is the first of the next.
        return (x, from, to, [known]) => {
          const width = to - from
          const along = (weights: readonly number[]): tf.Tensor =>
            combine([1, x], ...weights.map((weight, i): Term => [width * weight, slopes[i]!]))
          const slopes = [known ?? slopeAt(x, from).slope]
          for (const { at, weights } of stages) slopes.push(slopeAt(along(weights), from + at * width).slope)
          const arrived = along(fifth)
          const last = slopeAt(arrived, to)
          slopes.push(last.slope)
          const error = errorBetween(along(fourth), arrived, x, { relative: tolerance, absolute: tolerance })
          return { x: arrived, denoised: last.denoised, memory: [last.slope], error }
        }
      },
      () => new ElementaryControl(firstStep),
    ),
})

const stages = [
  { at: 1 / 5, weights: [1 / 5] },
  { at: 3 / 10, weights: [3 / 40, 9 / 40] },
  { at: 4 / 5, weights: [44 / 45, -56 / 15, 32 / 9] },
  { at: 8 / 9, weights: [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729] },
  { at: 1, weights: [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656] },
] as const
const fifth = [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]
const fourth = [5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40]

/** Steps stand where the error is allowed; the next is as long as the error says, a little less for safety. */
class ElementaryControl implements StepControl {
  h: number

  constructor(firstStep: number) {
    this.h = firstStep
  }

  decide(tried: number, error: number): boolean {
    this.h = tried * Math.min(5, Math.max(0.2, 0.9 * (error + 1e-10) ** (-1 / 5)))
    return error <= 1
  }
}
