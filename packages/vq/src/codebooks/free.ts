import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, key as makeKey, type Key, requireInteger, variable } from '@x/core-gpu'
import { euclidean, type Metric } from '../metric.ts'
import { blend } from './blend.ts'
import { type Codebook, type CodeInitialiser, uniformCodes } from './codebook.ts'

export interface FreeCodebookOptions {
  /** default: euclidean; on the sphere the codes are the parameters scaled to length 1 */
  readonly metric?: Metric
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
  readonly #metric: Metric

  constructor(size: number, dim: number, options: FreeCodebookOptions = {}) {
    super()
    requireInteger('codebookSize', size, 1)
    requireInteger('dim', dim, 1)
    const { metric = euclidean, init = uniformCodes, key = makeKey(0) } = options
    this.size = size
    this.dim = dim
    this.#metric = metric
    this.weight = variable(init([size, dim], key))
  }

  codes(): tf.Tensor2D {
    return this.#metric.project(this.weight as unknown as tf.Tensor2D)
  }

  place(means: tf.Tensor2D): void {
    this.weight.assign(means)
  }

  replace(expired: tf.Tensor1D, rows: tf.Tensor2D): void {
    tf.tidy(() => this.weight.assign(blend(expired, rows, this.weight)))
  }
}
