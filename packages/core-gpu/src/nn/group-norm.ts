import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, variable } from '../module/module.ts'
import { describeShape, requireInteger, requireLastDimension } from '../validation/validation.ts'
import type { Layer } from './layer.ts'
import { standardise } from './standardise.ts'

export interface GroupNormOptions {
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
  /** whether to learn a scale and a shift per channel; default true */
  readonly affine?: boolean
}

/** Standardises groups of channels over all positions of one sample (arXiv 1803.08494). */
export class GroupNorm extends BaseModule implements Layer {
  /** [channels] */
  readonly weight: tf.Variable | null
  /** [channels] */
  readonly bias: tf.Variable | null
  readonly groups: number
  readonly channels: number
  readonly #epsilon: number

  /** @throws RangeError when `channels` is no multiple of `groups` */
  constructor(groups: number, channels: number, options: GroupNormOptions = {}) {
    super()
    requireInteger('groups', groups, 1)
    requireInteger('channels', channels, 1)
    if (channels % groups !== 0)
      throw new RangeError(`channels: expected a multiple of groups (${groups}), got ${channels}`)
    const { epsilon = 1e-5, affine = true } = options
    this.groups = groups
    this.channels = channels
    this.#epsilon = epsilon
    this.weight = affine ? variable(tf.ones([channels])) : null
    this.bias = affine ? variable(tf.zeros([channels])) : null
  }

  /**
   * @param x [B, ..., channels]
   * @returns the same shape
   * @throws RangeError when the last dimension differs or there is no batch dimension
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireLastDimension('x', x, this.channels)
    if (x.rank < 2) throw new RangeError(`x: expected shape [B, ..., ${this.channels}], got ${describeShape(x.shape)}`)
    return tf.tidy(() => {
      const grouped = tf.reshape(x, [x.shape[0]!, -1, this.groups, this.channels / this.groups])
      const y = tf.reshape(standardise(grouped, [1, 3], this.#epsilon).normalised, x.shape)
      return this.weight ? tf.add(tf.mul(y, this.weight), this.bias!) : y
    })
  }
}
