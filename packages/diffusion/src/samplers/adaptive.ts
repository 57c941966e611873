import * as tf from '@tensorflow/tfjs-core'
import type { LogSnr } from '../noise-level.ts'
import type { Sampler } from '../sampler.ts'
import { firstOrder, stepSize } from './probability-flow.ts'
import { type Arrival, beginSampling, Held, pauser, type Sampling, tidied } from './stepwise.ts'

/** A step that was tried. */
export interface Trial extends Arrival {
  /** what it may be off by, in units of the tolerance; a scalar */
  readonly error: tf.Tensor
}

/** Tries a step; runs inside a `tf.tidy`, and disposes nothing. */
export type TryStep = (x: tf.Tensor, from: LogSnr, to: LogSnr, memory: readonly tf.Tensor[]) => Trial

/** Decides over steps by their errors, and how long the next is. */
export interface StepControl {
  /** of half the logSNR */
  readonly h: number
  /** @returns whether a step of size `tried` stands; sets `h` anew */
  decide(tried: number, error: number): boolean
}

/** The least step worth a call, of half the logSNR. */
const least = 1e-6

/**
 * Makes a sampler that chooses its steps by their errors. It meets every level of the grid and reports every step that
 * stands; a step to clean is the prediction.
 *
 * A batch takes its steps together, as small as its most demanding sample needs. The first level must be finite.
 */
export function adaptive(begin: (sampling: Sampling) => TryStep, control: () => StepControl): Sampler {
  return async (denoiser, x, grid, options = {}) => {
    const sampling = beginSampling(denoiser, x, grid, options, { finiteStart: true })
    const tryStep = begin(sampling)
    const steer = control()
    const held = new Held(x)
    const pause = pauser()
    try {
      let arrival: Arrival = { x, denoised: x }
      const steps = grid.length - 1
      for (let step = 0; step < steps; step++) {
        const end = grid[step + 1]!
        for (let from = grid[step]!; from < end; await pause()) {
          options.signal?.throwIfAborted()
          const { x, memory = [] } = arrival
          const to = stepSize(from, end) < steer.h + least || end === Infinity ? end : from + 2 * steer.h
          if (to === Infinity) arrival = tidied(() => toClean(sampling, x, from))
          else {
            const { error, ...tried } = tidied(() => tryStep(x, from, to, memory))
            held.add(tried, error)
            const off = (await error.data())[0]!
            if (!Number.isFinite(off))
              throw new RangeError(`denoiser: expected finite predictions, got an error of ${off} at logSNR ${from}`)
            const stands = steer.decide(stepSize(from, to), off)
            if (!stands && steer.h < least)
              throw new RangeError(`tolerance: expected one that can be met, got steps of ${steer.h} at logSNR ${from}`)
            if (stands) arrival = tried
            held.keepOnly(arrival)
            if (!stands) continue
          }
          held.keepOnly(arrival)
          await options.onStep?.({ step, steps, from, to, x: arrival.x, denoised: arrival.denoised })
          from = to
        }
      }
      return held.handOver(arrival.x)
    } finally {
      held.dispose()
    }
  }
}

function toClean({ denoise }: Sampling, x: tf.Tensor, from: LogSnr): Arrival {
  const denoised = denoise(x, from)
  return { x: firstOrder(x, denoised, from, Infinity), denoised }
}

/**
 * How far two results are apart, in units of the tolerance: the root of the mean square over a sample, of the worst sample.
 * @param low and `high` the results at one level, of which `before` is where they began, `[B, ...]`
 * @returns a scalar
 */
export function errorBetween(
  low: tf.Tensor,
  high: tf.Tensor,
  before: tf.Tensor,
  { relative, absolute }: Tolerances,
): tf.Scalar {
  const size = tf.maximum(tf.abs(before), tf.abs(low))
  const allowed = tf.maximum(tf.mul(size, relative), absolute)
  const off = tf.div(tf.sub(low, high), allowed)
  const axes = off.shape.slice(1).map((_, i) => i + 1)
  return tf.max(tf.sqrt(tf.mean(tf.square(off), axes)))
}

/** What an error may come to: the greater of a share of x and a constant, where x is variance preserving. */
export interface Tolerances {
  readonly relative: number
  readonly absolute: number
}
