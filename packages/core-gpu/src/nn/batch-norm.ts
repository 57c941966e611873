import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, variable } from '../module/module.ts'
import { describeShape, requireInteger, requireLastDimension } from '../validation/validation.ts'
import type { ForwardContext, Layer } from './layer.ts'
import { standardise } from '../kernels/standardise.ts'

export interface BatchNormOptions {
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
  /** weight of the newest batch in the running statistics; default 0.1 */
  readonly momentum?: number
  /** whether to learn a scale and a shift; default true */
  readonly affine?: boolean
}

/**
 * Standardises each feature over the batch in training, and by running statistics otherwise (arXiv 1502.03167).
 *
 * Running variances are unbiased, as in PyTorch.
 */
export class BatchNorm extends BaseModule implements Layer {
  /** [features] */
  readonly weight: tf.Variable | null
  /** [features] */
  readonly bias: tf.Variable | null
  /** [features], not trained */
  readonly runningMean: tf.Variable
  /** [features], not trained */
  readonly runningVariance: tf.Variable
  readonly features: number
  readonly #epsilon: number
  readonly #momentum: number

  /** @throws RangeError when `features` is no whole number >= 1 or `momentum` not from 0 to 1 */
  constructor(features: number, options: BatchNormOptions = {}) {
    super()
    requireInteger('features', features, 1)
    const { epsilon = 1e-5, momentum = 0.1, affine = true } = options
    if (!(momentum >= 0 && momentum <= 1))
      throw new RangeError(`momentum: expected a number from 0 to 1, got ${momentum}`)
    this.features = features
    this.#epsilon = epsilon
    this.#momentum = momentum
    this.weight = affine ? variable(tf.ones([features])) : null
    this.bias = affine ? variable(tf.zeros([features])) : null
    this.runningMean = variable(tf.zeros([features]), { trainable: false })
    this.runningVariance = variable(tf.ones([features]), { trainable: false })
  }

  /**
   * @param x [B, ..., features]
   * @returns the same shape
   * @throws RangeError when the last dimension differs, or in training when there is only one value per feature
   */
  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    requireLastDimension('x', x, this.features)
    return tf.tidy(() => {
      const normalised = context.training ? this.#byBatch(x) : this.#byRunningStatistics(x)
      return this.weight ? tf.add(tf.mul(normalised, this.weight), this.bias!) : normalised
    })
  }

  #byBatch(x: tf.Tensor): tf.Tensor {
    const count = x.size / this.features
    if (count < 2)
      throw new RangeError(`x: training needs more than one value per feature, got shape ${describeShape(x.shape)}`)
    const rows = tf.reshape(x, [count, this.features])
    const { normalised, mean, variance } = standardise(rows, [0], this.#epsilon)
    this.#follow(this.runningMean, mean, 1)
    this.#follow(this.runningVariance, variance, count / (count - 1))
    return tf.reshape(normalised, x.shape)
  }

  #byRunningStatistics(x: tf.Tensor): tf.Tensor {
    const scale = tf.rsqrt(tf.add(this.runningVariance, this.#epsilon))
    return tf.mul(tf.sub(x, this.runningMean), scale)
  }

  #follow(running: tf.Variable, latest: tf.Tensor, correction: number): void {
    const share = tf.mul(tf.reshape(latest, [this.features]), correction * this.#momentum)
    running.assign(tf.add(tf.mul(running, 1 - this.#momentum), share))
  }
}
