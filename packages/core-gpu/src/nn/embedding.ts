import type * as tf from '@tensorflow/tfjs-core'
import { lookup } from '../kernels/lookup/lookup.ts'
import { BaseModule, variable } from '../module/module.ts'
import type { Key } from '../random/key.ts'
import { requireInteger } from '../validation/validation.ts'
import { type Initialiser, normal } from './initialisers.ts'
import type { Layer } from './layer.ts'

export interface EmbeddingOptions {
  /** where the first vectors are drawn from */
  readonly key: Key
  /** default: standard normal */
  readonly init?: Initialiser
}

/** A table of vectors, looked up by number. */
export class Embedding extends BaseModule implements Layer {
  /** [count, dim] */
  readonly weight: tf.Variable
  readonly count: number
  readonly dim: number

  /** @throws RangeError when a size is no whole number >= 1 */
  constructor(count: number, dim: number, options: EmbeddingOptions) {
    super()
    requireInteger('count', count, 1)
    requireInteger('dim', dim, 1)
    const { key, init = normal({ standardDeviation: 1 }) } = options
    this.count = count
    this.dim = dim
    this.weight = variable(init([count, dim], { in: count, out: dim }, key))
  }

  /**
   * @param indices int32 [...], each from 0 to count - 1
   * @returns [..., dim]
   */
  forward(indices: tf.Tensor): tf.Tensor {
    return lookup(this.weight as unknown as tf.Tensor2D, indices)
  }
}
