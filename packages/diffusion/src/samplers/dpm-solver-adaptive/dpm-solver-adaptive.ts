import { numberBetween, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import type { LogSnr } from '../../noise-level.ts'
import { adaptive, errorBetween, type StepControl } from '../adaptive.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import type { Predicted } from '../exponential.ts'
import { singlestepPair } from '../singlestep.ts'

export interface DpmSolverAdaptiveOptions {
  /** of the result that is kept, 2 or 3; default 3 */
  readonly order?: 2 | 3
  /** the error that a step may make, as a share of x; default 0.05 */
  readonly relativeTolerance?: number
  /** the error that is always allowed; default 0.0078 */
  readonly absoluteTolerance?: number
  /** the first step, of half the logSNR; default 0.05 */
  readonly firstStep?: number
  /** how the size of steps follows errors: in proportion, by the sum, by the change; default 0, 1 and 0 */
  readonly proportional?: number
  readonly integral?: number
  readonly derivative?: number
  /** how much a step may be too long and stand; default 0.81 */
  readonly acceptance?: number
  /** what is taken for smooth; default `noise` */
  readonly predicted?: Predicted
}

/**
 * DPM-Solver-12 and -23: steps as long as the difference between two orders allows, under PID control. Two or three calls a
 * try.
 *
 * Of the grid only the levels count that must be met; two will do. The first must be finite. arXiv 2206.00927
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const dpmSolverAdaptive: SamplerMethod<DpmSolverAdaptiveOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/dpm-solver-adaptive',
  title: 'DPM-Solver adaptive',
  summary: 'Steps as long as the difference between two orders allows.',
  paper: {
    title: 'DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps',
    arxiv: '2206.00927',
    year: 2022,
  },
  options: v.object({
    order: v.optional(v.picklist([2, 3]), 3),
    relativeTolerance: v.optional(numberFrom(0), 0.05),
    absoluteTolerance: v.optional(numberBetween(0, Infinity), 0.0078),
    firstStep: v.optional(numberBetween(0, Infinity), 0.05),
    proportional: v.optional(v.number(), 0),
    integral: v.optional(v.number(), 1),
    derivative: v.optional(v.number(), 0),
    acceptance: v.optional(numberBetween(0, 1), 0.81),
    predicted: v.optional(v.picklist(['denoised', 'noise']), 'noise'),
  }),
  create: ({ order, relativeTolerance, absoluteTolerance, predicted, ...control }) =>
    adaptive(
      ({ denoise }) =>
        (x, from: LogSnr, to: LogSnr, [before = x]) => {
          const { low, high, denoised } = singlestepPair(denoise, x, { from, to, order, predicted })
          const tolerances = { relative: relativeTolerance, absolute: absoluteTolerance }
          return { x: high, denoised, memory: [low], error: errorBetween(low, high, before, tolerances) }
        },
      () => new PidControl(order, control),
    ),
})

interface PidSettings {
  readonly firstStep: number
  readonly proportional: number
  readonly integral: number
  readonly derivative: number
  readonly acceptance: number
}

/** Söderlind's digital filter: the next step follows from the last errors, by proportion, sum and change. */
class PidControl implements StepControl {
  h: number
  readonly #powers: readonly [number, number, number]
  readonly #acceptance: number
  /** one over the error, of this try and the two steps before */
  #inverse: [number, number, number] | undefined

  constructor(order: number, { firstStep, proportional, integral, derivative, acceptance }: PidSettings) {
    this.h = firstStep
    this.#powers = [
      (proportional + integral + derivative) / order,
      -(proportional + 2 * derivative) / order,
      derivative / order,
    ]
    this.#acceptance = acceptance
  }

  decide(tried: number, error: number): boolean {
    const inverse = 1 / (error + 1e-8)
    const [, second, third] = (this.#inverse ??= [inverse, inverse, inverse])
    const [a, b, c] = this.#powers
    // The arctangent keeps a single step from changing too much.
    const factor = 1 + Math.atan(inverse ** a * second ** b * third ** c - 1)
    const stands = factor >= this.#acceptance
    if (stands) this.#inverse = [inverse, inverse, second]
    this.h = tried * factor
    return stands
  }
}
