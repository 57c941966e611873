import * as tf from '@tensorflow/tfjs-core'
import { rmsNorm } from '../kernels/rms-norm/rms-norm.ts'
import { BaseModule, variable } from '../module/module.ts'
import { requireInteger, requireLastDimension } from '../validation/validation.ts'
import type { Layer } from './layer.ts'

export interface RmsNormOptions {
  /** added to the mean square; default 1e-6 */
  readonly epsilon?: number
  /** whether to learn a scale; default true */
  readonly affine?: boolean
}

/** Divides each vector along the last dimension by its root mean square (arXiv 1910.07467). */
export class RmsNorm extends BaseModule implements Layer {
  /** [features] */
  readonly weight: tf.Variable | null
  readonly features: number
  readonly #epsilon: number

  /** @throws RangeError when `features` is no whole number >= 1 */
  constructor(features: number, options: RmsNormOptions = {}) {
    super()
    requireInteger('features', features, 1)
    const { epsilon = 1e-6, affine = true } = options
    this.features = features
    this.#epsilon = epsilon
    this.weight = affine ? variable(tf.ones([features])) : null
  }

  /**
   * @param x [..., features]
   * @returns the same shape
   * @throws RangeError when the last dimension differs
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireLastDimension('x', x, this.features)
    return rmsNorm(x, { scale: this.weight, epsilon: this.#epsilon })
  }
}
