import * as tf from '@tensorflow/tfjs-core'
import { describeValue, type Key, requireTensor, stopGradient } from '@x/core-gpu'
import { type Grid, requireGrid } from '../grid.ts'
import { alphaOf, sigmaOf } from '../noise-level.ts'
import { perSample } from '../predictions/convert-prediction.ts'
import type { Network } from '../predictions/network.ts'
import type { Parameterisation } from '../predictions/parameterisation.ts'
import type { DiffusionLoss } from './diffusion-loss.ts'
import { cleanErrors, meanOfEach, predictionError } from './prediction-error.ts'
import { trainingTimes, type TrainingTimes } from './training-times.ts'
import { type LossWeight, uniformWeight, weightOn } from './weights.ts'

export interface LearnedVarianceLossOptions<Condition = unknown> {
  /** what the network eats and gives, its variance aside */
  readonly parameterisation: Parameterisation
  /** the steps of which one is drawn for each sample: for a discrete model `throughTimesteps` of all its timesteps */
  readonly grid: Grid
  /** of the squared error of eps by level; default uniform */
  readonly weight?: LossWeight
  /** of the bound's terms, added up over all steps; default 0.001 */
  readonly boundWeight?: number
  /** how steps are drawn; default `'stratified'` */
  readonly times?: TrainingTimes
  /** handed to the network */
  readonly condition?: Condition
  /** draws steps and noise */
  readonly key: Key
}

/** A training loss for prediction and variance. */
export interface LearnedVarianceLoss extends DiffusionLoss {
  /** each sample's divergence of the step from its best, in nats per number, `[B]` */
  readonly divergences: tf.Tensor1D
}

/**
 * Improved DDPM's hybrid loss, for a network that predicts the variance of its steps as well: the weighted squared error, which
 * trains the prediction, and the terms of the variational bound, which train the variance alone. arXiv 2102.09672
 *
 * A step to clean has no variance, and no term.
 * @param x0 `[B, ..., C]`
 * @param network from `[B, ..., C]` to `[B, ..., 2 C]`, see `learnedVarianceDenoiser`
 * @throws RangeError for a grid that is none, a boundWeight below 0, an output of another shape, or a level at which the
 * network's output does not matter
 */
export function learnedVarianceLoss<Condition = unknown>(
  x0: tf.Tensor,
  network: Network<Condition>,
  options: LearnedVarianceLossOptions<Condition>,
): LearnedVarianceLoss {
  requireTensor('x0', x0)
  const { parameterisation, grid, weight = uniformWeight(), boundWeight = 0.001, times, condition, key } = options
  requireGrid(grid)
  if (!(boundWeight >= 0))
    throw new RangeError(`boundWeight: expected a number >= 0, got ${describeValue(boundWeight)}`)
  const [timeKey, noiseKey] = key.split(2) as [Key, Key]
  const steps = grid.length - 1
  const drawn = Array.from(trainingTimes(timeKey, x0.shape[0]!, times), (t) => Math.floor(t * steps))
  const logSnr = drawn.map((step) => grid[step]!)
  const toX0 = cleanErrors(parameterisation, logSnr)
  const onX0 = weightOn(weight, 'x0')
  const weights = logSnr.map((level, i) => onX0(level) * toX0[i]! ** 2)
  const bad = weights.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new RangeError(`weight: expected finite numbers, got ${weights[bad]} for logSNR ${logSnr[bad]}`)
  const terms = drawn.map((step, i) => boundTerm(grid[step]!, grid[step + 1]!, toX0[i]!))

  const { loss, losses, divergences } = tf.tidy(() => {
    const noisy = { x0, logSnr, key: noiseKey }
    const { error, beside } = predictionError(noisy, network, parameterisation, condition, 2)
    const column = (name: keyof BoundTerm): tf.Tensor =>
      perSample(
        terms.map((term) => term[name]),
        x0.rank,
      )
    // ln of the step's variance over the smallest it may have.
    const surplus = tf.mul(column('range'), tf.mul(tf.add(beside!, 1), 0.5))
    // What the prediction is off costs little where the variance is large; it is not trained by that.
    const off = tf.mul(column('shift'), tf.square(stopGradient(error)))
    const each = tf.mul(0.5, tf.sub(tf.add(surplus, tf.mul(tf.add(off, 1), tf.exp(tf.neg(surplus)))), 1))
    const divergences = tf.mul(meanOfEach(each), tf.tensor1d(terms.map(({ counts }) => counts))) as tf.Tensor1D
    const squares = tf.mul(meanOfEach(tf.square(error)), tf.tensor1d(weights))
    const losses = tf.add(squares, tf.mul(boundWeight * steps, divergences)) as tf.Tensor1D
    return { loss: tf.mean(losses) as tf.Scalar, losses, divergences }
  })
  return { loss, losses, divergences, logSnr }
}

interface BoundTerm {
  /** ln of the largest variance over the smallest */
  readonly range: number
  /** the squared distance of the means over the smallest variance, per squared error of the network's output */
  readonly shift: number
  /** 0 for a step to clean */
  readonly counts: number
}

function boundTerm(from: number, to: number, toX0: number): BoundTerm {
  if (to === Infinity) return { range: 0, shift: 0, counts: 0 }
  const share = -Math.expm1(from - to)
  const smallest = sigmaOf(to) ** 2 * share
  return {
    range: 2 * Math.log(sigmaOf(from) / sigmaOf(to)),
    shift: (alphaOf(to) * share * toX0) ** 2 / smallest,
    counts: 1,
  }
}
