import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, variable } from '../module/module.ts'
import type { Key } from '../random/key.ts'
import { requireInteger, requireLastDimension } from '../validation/validation.ts'
import { fanInUniform, type Initialiser } from './initialisers.ts'
import type { Layer } from './layer.ts'

export interface LinearOptions {
  /** where the first weights are drawn from */
  readonly key: Key
  /** default true */
  readonly bias?: boolean
  /** of the weight; default: uniform within `1 / sqrt(inFeatures)` */
  readonly init?: Initialiser
  /** of the bias; default: as the weight's default */
  readonly biasInit?: Initialiser
}

/** `y = x W^T + b`, for inputs of any rank. */
export class Linear extends BaseModule implements Layer {
  /** [out, in] */
  readonly weight: tf.Variable
  /** [out] */
  readonly bias: tf.Variable | null
  readonly inFeatures: number
  readonly outFeatures: number

  /** @throws RangeError when a size is no whole number >= 1 */
  constructor(inFeatures: number, outFeatures: number, options: LinearOptions) {
    super()
    requireInteger('inFeatures', inFeatures, 1)
    requireInteger('outFeatures', outFeatures, 1)
    const { key, bias = true, init = fanInUniform(), biasInit = fanInUniform() } = options
    const fan = { in: inFeatures, out: outFeatures }
    const [weightKey, biasKey] = key.split(2) as [Key, Key]
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    this.weight = variable(init([outFeatures, inFeatures], fan, weightKey))
    this.bias = bias ? variable(biasInit([outFeatures], fan, biasKey)) : null
  }

  /**
   * @param x [..., in]
   * @returns [..., out]
   * @throws RangeError when the last dimension differs
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireLastDimension('x', x, this.inFeatures)
    const outer = x.shape.slice(0, -1)
    return tf.tidy(() => {
      if (x.rank === 2) return this.#product(x as tf.Tensor2D, this.weight as unknown as tf.Tensor2D)
      // One flat product: the batched kernel would take the same weight once per batch entry.
      const rows = tf.reshape(x, [-1, this.inFeatures]) as tf.Tensor2D
      const weight = this.weight as unknown as tf.Tensor2D
      return tf.reshape(this.#product(rows, weight), [...outer, this.outFeatures])
    })
  }

  /** @returns [N, out] */
  #product(rows: tf.Tensor2D, weight: tf.Tensor2D): tf.Tensor {
    // tfjs-node fuses nothing, and the fused gradient computes what nobody asked for, by way of three dimensions.
    if (tf.getBackend() === 'tensorflow') {
      const product = tf.matMul(rows, weight, false, true)
      return this.bias ? tf.add(product, this.bias) : product
    }
    const bias = this.bias ? { bias: this.bias } : {}
    return tf.fused.matMul({ a: rows, b: weight, transposeB: true, ...bias })
  }
}
