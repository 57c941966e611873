import * as tf from '@tensorflow/tfjs-core'
import { layerNorm } from '../kernels/layer-norm/layer-norm.ts'
import { BaseModule, variable } from '../module/module.ts'
import { requireInteger, requireLastDimension } from '../validation/validation.ts'
import type { Layer } from './layer.ts'

export interface LayerNormOptions {
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
  /** whether to learn a scale and a shift; default true */
  readonly affine?: boolean
}

/** Standardises each vector along the last dimension (arXiv 1607.06450). */
export class LayerNorm extends BaseModule implements Layer {
  /** [features] */
  readonly weight: tf.Variable | null
  /** [features] */
  readonly bias: tf.Variable | null
  readonly features: number
  readonly #epsilon: number

  /** @throws RangeError when `features` is no whole number >= 1 */
  constructor(features: number, options: LayerNormOptions = {}) {
    super()
    requireInteger('features', features, 1)
    const { epsilon = 1e-5, affine = true } = options
    this.features = features
    this.#epsilon = epsilon
    this.weight = affine ? variable(tf.ones([features])) : null
    this.bias = affine ? variable(tf.zeros([features])) : null
  }

  /**
   * @param x [..., features]
   * @returns the same shape
   * @throws RangeError when the last dimension differs
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireLastDimension('x', x, this.features)
    return layerNorm(x, { scale: this.weight, offset: this.bias, epsilon: this.#epsilon })
  }
}
