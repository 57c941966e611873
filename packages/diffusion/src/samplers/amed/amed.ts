import type * as tf from '@tensorflow/tfjs-core'
import { numberBetween } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, edmSigmaOf, type LogSnr } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { alongSlope, firstOrder, noiseIn, stepSize } from '../probability-flow.ts'
import { type Sampling, stepwise } from '../stepwise.ts'

/** Where within a step the slope is found that leads to its end. */
export interface AmedPoint {
  /** r: how far along the step in logSNR, between 0 and 1 */
  readonly position: number
  /** c: how much longer than the step the slope is followed; default 1 */
  readonly scale?: number
  /** a: how much more noise the denoiser is told of than there is, as a factor of sigma / alpha; default 1 */
  readonly noise?: number
}

export interface AmedOptions {
  /** one for each step, as `trainAmed` finds them; default: halfway, which is DPM-2 */
  readonly points?: readonly AmedPoint[]
  /** whether the first slope is taken to be x itself, which saves a call; default false */
  readonly freeFirstSlope?: boolean
}

/**
 * AMED: follows the one slope within a step that leads to its end, as the mean value theorem promises in a plane; where it is
 * was learned from a finer sampler. Two calls a step.
 *
 * Steps from noise alone and to clean are Euler's, with one call, and go by no point. arXiv 2312.00094
 * @throws TypeError or RangeError naming the option that is wrong; RangeError (on sampling) unless there is a point for each step
 */
export const amed: SamplerMethod<AmedOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/amed',
  title: 'AMED',
  summary: 'Follows the slope at a learned point within each step: two calls a step.',
  paper: {
    title: 'Fast ODE-based Sampling for Diffusion Models in Around 5 Steps',
    arxiv: '2312.00094',
    year: 2023,
  },
  options: v.object({
    points: v.optional(amedPoints()),
    freeFirstSlope: v.optional(v.boolean(), false),
  }),
  create: ({ points, freeFirstSlope }) =>
    stepwise(({ denoise, grid }) => {
      if (points && points.length !== grid.length - 1)
        throw new RangeError(`points: expected one for each of ${grid.length - 1} steps, got ${points.length}`)
      return (x, { step, from, to }) => {
        if (!Number.isFinite(stepSize(from, to))) {
          const denoised = denoise(x, from)
          return { x: firstOrder(x, denoised, from, to), denoised }
        }
        const first = freeFirstSlope && step === 0 ? x : noiseIn(x, denoise(x, from), from)
        const point = points?.[step] ?? halfway
        const { slope, denoised } = slopeWithin(denoise, x, first, { from, to, point })
        return { x: followed(x, slope, { from, to, point }), denoised }
      }
    }),
})

const halfway: AmedPoint = { position: 0.5 }

function amedPoints(): v.GenericSchema<readonly AmedPoint[]> {
  return v.array(
    v.strictObject({
      position: numberBetween(0, 1),
      scale: v.optional(numberBetween(0, Infinity)),
      noise: v.optional(numberBetween(0, Infinity)),
    }),
  ) as v.GenericSchema<readonly AmedPoint[]>
}

/** A step and the point within it. */
interface PointedStep {
  readonly from: LogSnr
  readonly to: LogSnr
  readonly point: AmedPoint
}

/** The level at a point of a step. */
export function levelAt({ from, to, point }: PointedStep): LogSnr {
  return from + point.position * (to - from)
}

/** The slope at a point of a step, which is reached along the first slope. */
export function slopeWithin(
  denoise: Sampling['denoise'],
  x: tf.Tensor,
  first: tf.Tensor,
  step: PointedStep,
): { slope: tf.Tensor; denoised: tf.Tensor } {
  const level = levelAt(step)
  const told = level - 2 * Math.log(step.point.noise ?? 1)
  const there = alongSlope(x, first, step.from, level)
  const denoised = denoise(combine([alphaOf(told) / alphaOf(level), there]), told)
  return { slope: noiseIn(there, denoised, level), denoised }
}

/** The end of a step along the slope found within it. */
export function followed(x: tf.Tensor, slope: tf.Tensor, { from, to, point }: PointedStep): tf.Tensor {
  const length = (point.scale ?? 1) * (edmSigmaOf(to) - edmSigmaOf(from))
  return combine([alphaOf(to) / alphaOf(from), x], [alphaOf(to) * length, slope])
}
