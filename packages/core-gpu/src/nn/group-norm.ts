import * as tf from '@tensorflow/tfjs-core'
import { groupNorm } from '../kernels/group-norm/group-norm.ts'
import { BaseModule, variable } from '../module/module.ts'
import { requireInteger, requireLastDimension } from '../validation/validation.ts'
import type { Layer } from './layer.ts'

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
    return groupNorm(x, this.groups, { scale: this.weight, offset: this.bias, epsilon: this.#epsilon })
  }
}
