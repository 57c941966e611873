import type * as tf from '@tensorflow/tfjs-core'
import { integer, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { LogSnr } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { phi } from '../exponential.ts'
import { lagrangeWeights } from '../lagrange.ts'
import { noiseOver, type StepNoise, stepNoiseOption } from '../noise-over.ts'
import { stepSize } from '../probability-flow.ts'
import { type DiffusionStep, diffusionStep } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface SaSolverOptions {
  /** how many predictions the predictor goes through, 1 to 4; default 2 */
  readonly predictorOrder?: number
  /** how many the corrector goes through, with that from the end of the step, 1 to 4; 0 for no corrector; default 2 */
  readonly correctorOrder?: number
  /** how random a step is, from the level it leaves: 0 is the probability flow, 1 DDPM's diffusion; default 1 everywhere */
  readonly tau?: number | ((from: LogSnr) => number)
  /** whether the last steps are of lower order; default true */
  readonly lowerOrderFinal?: boolean
  /** default `white` */
  readonly noise?: StepNoise
}

/**
 * SA-Solver: stochastic Adams methods for a diffusion as random as one likes, as predictor and corrector. One call a step.
 *
 * The corrector uses the call that the next step needs anyway; the last step is not corrected. Steps from noise alone and to
 * clean are of order 1. Samples need a key unless `tau` is 0. arXiv 2309.05019
 * @throws TypeError or RangeError naming the option that is wrong
 * @throws RangeError on use, for a tau below 0
 */
export const saSolver: SamplerMethod<SaSolverOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/sa-solver',
  title: 'SA-Solver',
  summary: 'Stochastic Adams methods as predictor and corrector, as random as one likes: one call a step.',
  paper: {
    title: 'SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models',
    arxiv: '2309.05019',
    year: 2023,
  },
  options: v.object({
    predictorOrder: v.optional(v.pipe(integer(1), v.maxValue(4)), 2),
    correctorOrder: v.optional(v.pipe(integer(0), v.maxValue(4)), 2),
    tau: v.optional(
      v.union([
        numberFrom(0),
        v.custom<(from: LogSnr) => number>((value) => typeof value === 'function', 'a function'),
      ]),
      1,
    ),
    lowerOrderFinal: v.optional(v.boolean(), true),
    noise: stepNoiseOption(),
  }),
  create: ({ predictorOrder, correctorOrder, tau, lowerOrderFinal, noise: kind }) => {
    const tauAt = (from: LogSnr): number => {
      const value = typeof tau === 'number' ? tau : tau(from)
      if (!(value >= 0)) throw new RangeError(`tau: expected numbers >= 0, got ${value} at logSNR ${from}`)
      return value
    }
    return stepwise(
      (sampling) => {
        const { denoise, grid } = sampling
        const noise = noiseOver(sampling, kind)
        const steps = grid.length - 1
        const diffusionAt = (step: number): DiffusionStep =>
          diffusionStep(tauAt(grid[step]!) ** 2, grid[step]!, grid[step + 1]!)
        const ordersLeft = (step: number): number => (lowerOrderFinal ? steps - step : Infinity)

        /** Takes x over a step by predictions made at the levels before it, newest first, and where there is one at its end. */
        const advance = (
          x: tf.Tensor,
          step: number,
          predictions: readonly tf.Tensor[],
          added: tf.Tensor | undefined,
          end?: tf.Tensor,
        ): tf.Tensor => {
          const [from, to] = [grid[step]!, grid[step + 1]!]
          const { carry, scale, h } = diffusionAt(step)
          const places = predictions.map((_, i) => (i === 0 ? 0 : stepSize(from, grid[step - i]!) / stepSize(from, to)))
          const weights =
            predictions.length === 1 && !end ? [-Math.expm1(h)] : adamsWeights(-h, end ? [...places, 1] : places)
          const all = end ? [...predictions, end] : predictions
          return combine(
            [carry, x],
            ...all.map((prediction, i) => [scale * weights[i]!, prediction] as const),
            ...(added ? [[1, added] as const] : []),
          )
        }

        // What a step leaves: where it began, the noise it added, and predictions, newest first; nothing when it is not to be
        // corrected or remembered.
        return (x, { step, from, to }, memory) => {
          const denoised = denoise(x, from)
          const before = memory.length === 0 ? undefined : split(memory, diffusionAt(step - 1).deviation > 0)
          if (before && correctorOrder > 0) {
            const used = before.predictions.slice(0, Math.min(correctorOrder - 1, ordersLeft(step - 1)))
            x = advance(before.x, step - 1, used, before.added, denoised)
          }
          const { deviation } = diffusionAt(step)
          const added = deviation > 0 ? combine([deviation, noise(step, from, to)]) : undefined
          const finite = Number.isFinite(stepSize(from, to))
          const most = Math.max(predictorOrder, correctorOrder - 1)
          const latest = finite ? [denoised, ...(before?.predictions ?? [])].slice(0, most) : [denoised]
          const used = latest.slice(0, Math.min(predictorOrder, ordersLeft(step)))
          return {
            x: advance(x, step, used, added),
            denoised,
            memory: finite ? [x, ...(added ? [added] : []), ...latest] : [],
          }
        }
      },
      { draws: tau !== 0 },
    )
  },
})

function split(
  memory: readonly tf.Tensor[],
  random: boolean,
): { x: tf.Tensor; added: tf.Tensor | undefined; predictions: readonly tf.Tensor[] } {
  return { x: memory[0]!, added: random ? memory[1] : undefined, predictions: memory.slice(random ? 2 : 1) }
}

/**
 * The integrals of (1 + tau^2) e^-(1 + tau^2)(h - v) times the polynomials that are 1 at one place and 0 at the others.
 * @param h (1 + tau^2) times the step
 * @param places where predictions were made, in steps from its beginning
 */
function adamsWeights(h: number, places: readonly number[]): number[] {
  let factorial = 1
  const moments = places.map((_, k) => h * phi(k + 1, -h) * (k > 1 ? (factorial *= k) : 1))
  return lagrangeWeights(places, moments)
}
