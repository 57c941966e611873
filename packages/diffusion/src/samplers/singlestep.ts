import type * as tf from '@tensorflow/tfjs-core'
import type { LogSnr } from '../noise-level.ts'
import { combine } from './combine.ts'
import { type ExponentialStep, exponentialStep, inForm, phi, type Predicted } from './exponential.ts'
import { firstOrder, stepSize } from './probability-flow.ts'
import type { Arrival, Sampling, Step } from './stepwise.ts'

export interface SinglestepOptions {
  readonly from: LogSnr
  readonly to: LogSnr
  readonly order: number
  readonly predicted: Predicted
  /** what goes through the predictions of a step, see `DpmSolverSinglestepOptions`; default `midpoint` */
  readonly solver?: 'midpoint' | 'heun' | undefined
}

/** One step of DPM-Solver, with one to three calls of the denoiser, at equal distances of logSNR. */
export function singlestep(denoise: Sampling['denoise'], x: tf.Tensor, options: SinglestepOptions): Arrival {
  const { from, to, order } = options
  if (order > 1 && Number.isFinite(stepSize(from, to))) {
    const { high, denoised } = singlestepPair(denoise, x, options)
    return { x: high, denoised }
  }
  const denoised = denoise(x, from)
  return { x: firstOrder(x, denoised, from, to), denoised }
}

/** One step of order 2 or 3, and what the same calls give at one order less. */
export function singlestepPair(
  denoise: Sampling['denoise'],
  x: tf.Tensor,
  { from, to, order, predicted, solver = 'midpoint' }: SinglestepOptions,
): { low: tf.Tensor; high: tf.Tensor; denoised: tf.Tensor } {
  const denoised = denoise(x, from)
  const first = inForm(predicted, x, denoised, from)
  const whole = exponentialStep(predicted, from, to)

  const near = from + (to - from) / order
  const xNear = firstOrder(x, denoised, from, near)
  const denoisedNear = denoise(xNear, near)
  const second = inForm(predicted, xNear, denoisedNear, near)
  const middle = ofOrder2[solver](whole, x, first, second, 1 / order)
  if (order === 2) return { low: firstOrder(x, denoised, from, to), high: middle, denoised: denoisedNear }

  const far = from + (2 / 3) * (to - from)
  const xFar = linear(exponentialStep(predicted, from, far), x, first, second, 1 / 2)
  const denoisedFar = denoise(xFar, far)
  const third = inForm(predicted, xFar, denoisedFar, far)
  const high = ofOrder3[solver](whole, x, [first, second, third], [1 / 3, 2 / 3])
  return { low: middle, high, denoised: denoisedFar }
}

/** DPM-Solver whose calls are at the grid's own levels: a step of order p ends p levels on, and passes the ones between. */
export function singlestepFromGrid(
  { denoise, grid }: Sampling,
  { order, predicted, solver = 'midpoint' }: Pick<SinglestepOptions, 'order' | 'predicted' | 'solver'>,
): Step {
  const orders = ordersAlong(grid, order)
  return (x, { step, from, to }, memory) => {
    const denoised = denoise(x, from)
    const place = orders[step]! - 1
    if (!Number.isFinite(stepSize(from, to))) return { x: firstOrder(x, denoised, from, to), denoised }
    // What the steps before left: where they began, and the predictions since, newest first.
    const [start = x, ...earlier] = place === 0 ? [] : memory
    const predictions = [inForm(predicted, x, denoised, from), ...earlier]
    const begin = grid[step - place]!
    const parts = exponentialStep(predicted, begin, to)
    const shareOf = (level: LogSnr): number => (level - begin) / (to - begin)
    const [newest, oldest] = [predictions[0]!, predictions.at(-1)!]
    const arrived =
      place === 0
        ? firstOrder(x, denoised, from, to)
        : place === 1
          ? ofOrder2[solver](parts, start, oldest, newest, shareOf(from))
          : ofOrder3[solver](parts, start, [oldest, predictions[1]!, newest], [shareOf(grid[step - 1]!), shareOf(from)])
    return { x: arrived, denoised, memory: [start, ...predictions] }
  }
}

/** 1, 2, ..., order by turns, so that the last turn ends with the grid; steps at infinite ends are of order 1. */
function ordersAlong(grid: readonly LogSnr[], order: number): number[] {
  const head = grid[0] === -Infinity ? [1] : []
  const tail = grid.at(-1) === Infinity && grid.length - 1 > head.length ? [1] : []
  const steps = grid.length - 1 - head.length - tail.length
  const orders = Array.from({ length: steps }, (_, i) => (i % order) + 1)
  // Order 3 at the very end rests on long extrapolation: the last three steps are 1, 2 and 1.
  if (order === 3 && steps > 0 && steps % 3 === 0 && tail.length === 0) orders[steps - 1] = 1
  return [...head, ...orders, ...tail]
}

/** Constant over the step but for the difference of the prediction at `share` of it, taken at the middle. */
function midpoint(step: ExponentialStep, x: tf.Tensor, first: tf.Tensor, later: tf.Tensor, share: number): tf.Tensor {
  return withSlope(step, x, first, later, Math.expm1(step.h) / (2 * share))
}

/** The prediction goes straight from `first` through `later`, which is at `share` of the step. */
function linear(step: ExponentialStep, x: tf.Tensor, first: tf.Tensor, later: tf.Tensor, share: number): tf.Tensor {
  return withSlope(step, x, first, later, (step.h * phi(2, step.h)) / share)
}

/** The prediction goes along a parabola through three, of which the later two are at `near` and `far` of the step. */
function parabola(
  step: ExponentialStep,
  x: tf.Tensor,
  [first, second, third]: Predictions,
  [near, far]: readonly [near: number, far: number],
): tf.Tensor {
  const { carry, scale, h } = step
  // What slope and curvature at the step's beginning add, by their values from the three predictions.
  const [slope, curvature] = [h * phi(2, h), h * phi(3, h)]
  const ofSecond = (slope * far - 2 * curvature) / (near * (far - near))
  const ofThird = (2 * curvature - slope * near) / (far * (far - near))
  return combine(
    [carry, x],
    [-scale * (Math.expm1(h) - ofSecond - ofThird), first],
    [-scale * ofSecond, second],
    [-scale * ofThird, third],
  )
}

type Predictions = readonly [first: tf.Tensor, second: tf.Tensor, third: tf.Tensor]

const ofOrder2 = { midpoint, heun: linear }
const ofOrder3 = {
  midpoint: (
    step: ExponentialStep,
    x: tf.Tensor,
    [first, , third]: Predictions,
    [, far]: readonly [near: number, far: number],
  ): tf.Tensor => linear(step, x, first, third, far),
  heun: parabola,
}

function withSlope(
  { carry, scale, h }: ExponentialStep,
  x: tf.Tensor,
  first: tf.Tensor,
  later: tf.Tensor,
  weight: number,
): tf.Tensor {
  return combine([carry, x], [-scale * (Math.expm1(h) - weight), first], [-scale * weight, later])
}
