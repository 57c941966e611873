import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, key as makeKey, type Key, requireInteger, variable } from '@x/core-gpu'
import { type Codebook, type CodeInitialiser, uniformCodes } from './codebook.ts'
import { blend } from './blend.ts'

export interface FreeCodebookOptions {
  /** default: uniform in ±1/K */
  readonly init?: CodeInitialiser
  /** default: `key(0)` */
  readonly key?: Key
}

/** Each code is a parameter of its own, trained by gradient. */
export class FreeCodebook extends BaseModule implements Codebook {
  readonly size: number
  readonly dim: number
  /** `[K, d]` */
  readonly weight: tf.Variable

  constructor(size: number, dim: number, options: FreeCodebookOptions = {}) {
    super()
    requireInteger('codebookSize', size, 1)
    requireInteger('dim', dim, 1)
    const { init = uniformCodes, key = makeKey(0) } = options
    this.size = size
    this.dim = dim
    this.weight = variable(init([size, dim], key))
  }

  codes(): tf.Tensor2D {
    return tf.clone(this.weight) as tf.Tensor2D
  }

  place(means: tf.Tensor2D): void {
    this.weight.assign(means)
  }

  replace(expired: tf.Tensor1D, rows: tf.Tensor2D): void {
    tf.tidy(() => this.weight.assign(blend(expired, rows, this.weight)))
  }
}
