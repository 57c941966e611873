import type * as tf from '@tensorflow/tfjs-core'
import { numberFrom } from '@x/core-gpu'
import * as v from 'valibot'
import { alphaOf, type LogSnr, sigmaOf } from '../../noise-level.ts'
import { combine } from '../combine.ts'
import { defineSampler, type SamplerMethod } from '../define-sampler.ts'
import { firstOrder } from '../probability-flow.ts'
import { noiseUp } from '../reverse-diffusion.ts'
import { stepwise } from '../stepwise.ts'

export interface RectifiedFlowOptions {
  /** 1 for Euler's method with one call a step, 2 for Heun's with two; default 1 */
  readonly order?: 1 | 2
  /**
   * How far below the next level a step goes, to be noised back: 0 not at all, 1 so far as to leave the share `s'^2 / s` of
   * noise; default 0
   */
  readonly eta?: number
}

/**
 * Along the straight line (1 - s) x0 + s eps, on which the velocity of a rectified flow is eps - x0.
 *
 * Euler's method there is the step of `euler` and `ddim`; Heun's is one of its own, and good from noise alone. The step to
 * clean is Euler's. Samples need a key where `eta` is above 0. arXiv 2209.03003
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const rectifiedFlow: SamplerMethod<RectifiedFlowOptions> = /* @__PURE__ */ defineSampler({
  id: 'diffusion/rectified-flow',
  title: 'Rectified flow',
  summary: 'Follows the velocity of a rectified flow, by Euler’s or Heun’s method.',
  paper: {
    title: 'Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow',
    arxiv: '2209.03003',
    year: 2022,
  },
  options: v.object({ order: v.optional(v.picklist([1, 2]), 1), eta: v.optional(numberFrom(0, 1), 0) }),
  create: ({ order, eta }) =>
    stepwise(
      ({ denoise, noise }) =>
        (x, { step, from, to }) => {
          const denoised = denoise(x, from)
          const below = eta === 0 ? to : levelOf(timeOf(to) * (1 - eta * (1 - timeOf(to) / timeOf(from))))
          const back = (arrived: tf.Tensor): tf.Tensor => noiseUp(arrived, below, to, () => noise(step))
          const euler = firstOrder(x, denoised, from, below)
          if (order === 1 || below === Infinity) return { x: back(euler), denoised }
          const then = denoise(euler, below)
          const weight = ((alphaOf(below) + sigmaOf(below)) * (timeOf(from) - timeOf(below))) / (2 * timeOf(below))
          return { x: back(combine([1, euler], [weight, then], [-weight, denoised])), denoised: then }
        },
      { draws: eta > 0 },
    ),
})

/** s, the flow's time: the share of noise where shares add up to 1. */
function timeOf(level: LogSnr): number {
  return sigmaOf(level) / (alphaOf(level) + sigmaOf(level))
}

function levelOf(time: number): LogSnr {
  return 2 * Math.log((1 - time) / time)
}
