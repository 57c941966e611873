import * as tf from '@tensorflow/tfjs-core'
import { describeValue, type Key, requireTensor } from '@x/core-gpu'
import type { LogSnr } from '../noise-level.ts'
import type { Network } from '../predictions/network.ts'
import type { Parameterisation } from '../predictions/parameterisation.ts'
import type { Schedule } from '../schedule.ts'
import { slopeOf } from '../schedules/smooth-schedule.ts'
import { multiscaleSquares, type MultiscaleOptions } from './multiscale-squares.ts'
import { cleanErrors, meanOfEach, predictionError } from './prediction-error.ts'
import { trainingTimes, type TrainingTimes } from './training-times.ts'
import { type LossWeight, uniformWeight, weightOn } from './weights.ts'

export interface DiffusionLossOptions<Condition = unknown> {
  /** what the network eats and gives */
  readonly parameterisation: Parameterisation
  /** the levels that times stand for */
  readonly schedule: Schedule
  /** of the squared error of eps by level; default uniform */
  readonly weight?: LossWeight
  /**
   * Over what the weighted error is averaged: `'time'`, as it is drawn; or `'logSnr'`, times -1/2 d logSnr / dt, so that the
   * schedule decides only how often each level is drawn (arXiv 2303.00848). Default `'time'`.
   */
  readonly over?: 'time' | 'logSnr'
  /** how times are drawn; default `'stratified'` */
  readonly times?: TrainingTimes
  /** errors averaged over blocks of pixels, instead of pixels */
  readonly multiscale?: MultiscaleOptions
  /** handed to the network */
  readonly condition?: Condition
  /** draws times and noise */
  readonly key: Key
}

/** A training loss, and what it consists of. */
export interface DiffusionLoss {
  /** `[]`, differentiable towards what the network consists of */
  readonly loss: tf.Scalar
  /** each sample's weighted error, `[B]` */
  readonly losses: tf.Tensor1D
  /** the levels drawn, one for each sample */
  readonly logSnr: readonly LogSnr[]
}

/**
 * The loss of a network on clean samples: noise of a drawn level is added, and the squared error of what the network makes of
 * it is weighted by the level and averaged.
 *
 * The error is that of the network's own output, of which the weight of every other is a multiple in double precision:
 * nothing is divided by a small alpha or sigma.
 * @param x0 `[B, ...]`
 * @throws RangeError for an output of another shape than x0, or a level at which the network's output does not matter
 */
export function diffusionLoss<Condition = unknown>(
  x0: tf.Tensor,
  network: Network<Condition>,
  options: DiffusionLossOptions<Condition>,
): DiffusionLoss {
  requireTensor('x0', x0)
  const { parameterisation, schedule, weight = uniformWeight(), over = 'time', times, condition, key } = options
  if (over !== 'time' && over !== 'logSnr')
    throw new RangeError(`over: expected "time" or "logSnr", got ${describeValue(over)}`)
  const [timeKey, noiseKey] = key.split(2) as [Key, Key]
  const drawn = Array.from(trainingTimes(timeKey, x0.shape[0]!, times))
  const logSnr = drawn.map(schedule)
  const density = (t: number): number => (over === 'logSnr' ? -slopeOf(schedule, t) / 2 : 1)
  const onX0 = weightOn(weight, 'x0')
  const toX0 = cleanErrors(parameterisation, logSnr)
  const weights = logSnr.map((level, i) => density(drawn[i]!) * onX0(level) * toX0[i]! ** 2)
  const bad = weights.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new RangeError(`weight: expected finite numbers, got ${weights[bad]} for logSNR ${logSnr[bad]}`)

  const { loss, losses } = tf.tidy(() => {
    const { error } = predictionError({ x0, logSnr, key: noiseKey }, network, parameterisation, condition, 1)
    const squares = options.multiscale ? multiscaleSquares(error, options.multiscale) : meanOfEach(tf.square(error))
    const losses = tf.mul(squares, tf.tensor1d(weights)) as tf.Tensor1D
    return { loss: tf.mean(losses) as tf.Scalar, losses }
  })
  return { loss, losses, logSnr }
}
