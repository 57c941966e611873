import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { edmSigmaOf, type LogSnr, logSnrOfEdmSigma } from '../../noise-level.ts'
import type { SmoothSchedule } from '../../schedule.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder } from '../probability-flow.ts'
import { noiseUp } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface TcdOptions {
  /** how far below the next level a step goes before it is noised back, as a share of the time left; default 0.3 */
  readonly gamma?: number
  /** whose time is shared out, such as a table's `schedule`; default: the angle of sigma over alpha, a cosine's time */
  readonly schedule?: Pick<SmoothSchedule, 'timeOf'> & ((time: number) => LogSnr)
}

/**
 * Strategic stochastic sampling of trajectory consistency models: goes below the next level along the trajectory, and back up
 * to it by noise. One call a step; `gamma` 0 is DDIM, 1 goes to clean as LCM does.
 *
 * For networks that were distilled for it. A step to clean is the prediction. Samples need a key where `gamma` is above 0.
 * arXiv 2402.19159
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const tcd: SamplerMethod<TcdOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/tcd',
  title: 'TCD',
  summary: 'Goes below the next level along the trajectory, and back up to it by noise: one call a step.',
  paper: {
    title:
      'Trajectory Consistency Distillation: Improved Latent Consistency Distillation by Semi-Linear Consistency Function with Trajectory Mapping',
    arxiv: '2402.19159',
    year: 2024,
  },
  options: v.object({
    gamma: v.optional(numberFrom(0, 1), 0.3),
    schedule: v.optional(
      v.custom<NonNullable<TcdOptions['schedule']>>(
        (value) => typeof value === 'function' && typeof (value as Partial<SmoothSchedule>).timeOf === 'function',
        'a schedule that knows its inverse',
      ),
      () => arc,
    ),
  }),
  create: ({ gamma, schedule }) =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, from, to }) => {
          const denoised = denoise(x, from)
          const below = gamma === 0 || to === Infinity ? to : Math.max(to, schedule((1 - gamma) * schedule.timeOf(to)))
          return { x: noiseUp(firstOrder(x, denoised, from, below), below, to, () => noise(step)), denoised }
        },
      { draws: gamma > 0 },
    ),
})

/** Time as the angle between noise and sample: alpha is its cosine. */
const arc = /* @__PURE__ */ Object.assign((time: number): LogSnr => logSnrOfEdmSigma(Math.tan((Math.PI / 2) * time)), {
  timeOf: (level: LogSnr): number => (2 / Math.PI) * Math.atan(edmSigmaOf(level)),
})
