import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, key as makeKey, type Key, type Layer, Linear, requireInteger, variable } from '@x/core-gpu'
import type { Codebook } from './codebook.ts'

export interface LinearCodebookOptions {
  /** how the frozen codes become the used ones; default `'linear'` */
  readonly transform?: 'linear' | 'diagonal' | Layer
  /** whether the linear map has a bias, without which the codes stay centred at 0; default true */
  readonly bias?: boolean
  /** size of the frozen codes; default: that of the vectors */
  readonly codeDim?: number
  /** whether the codes under the map are trained too; default false */
  readonly trainable?: boolean
  /** default: `key(0)` */
  readonly key?: Key
}

/**
 * All codes are images of fixed random ones under one trained map, so that every step moves every code.
 * arXiv 2411.02038
 *
 *     E = C W^T + b,   C ~ N(0, 1/d)
 */
export class LinearCodebook extends BaseModule implements Codebook {
  readonly size: number
  readonly dim: number
  /** C, `[K, codeDim]` */
  readonly basis: tf.Variable
  /** `[K, codeDim]` to `[K, d]` */
  readonly transform: Layer

  constructor(size: number, dim: number, options: LinearCodebookOptions = {}) {
    super()
    requireInteger('codebookSize', size, 1)
    requireInteger('dim', dim, 1)
    const { transform = 'linear', bias = true, codeDim = dim, trainable = false, key = makeKey(0) } = options
    if (transform === 'diagonal' && codeDim !== dim)
      throw new RangeError(`codeDim: a diagonal map keeps the size, expected ${dim}, got ${codeDim}`)
    const [basisKey, mapKey] = key.split(2) as [Key, Key]
    this.size = size
    this.dim = dim
    this.basis = variable(basisKey.normal([size, codeDim], { standardDeviation: codeDim ** -0.5 }), { trainable })
    if (transform === 'linear') this.transform = new Linear(codeDim, dim, { bias, key: mapKey })
    else if (transform === 'diagonal') this.transform = new Diagonal(dim)
    else this.transform = transform
  }

  codes(): tf.Tensor2D {
    return this.transform.forward(this.basis) as tf.Tensor2D
  }
}

/** Scales each dimension: between a free codebook and a full map. */
class Diagonal extends BaseModule implements Layer {
  /** `[d]`, starts at 1 */
  readonly scale: tf.Variable

  constructor(dim: number) {
    super()
    this.scale = variable(tf.ones([dim]))
  }

  forward(x: tf.Tensor): tf.Tensor {
    return tf.mul(x, this.scale) // [..., d]
  }
}
