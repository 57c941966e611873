import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, key as makeKey, type Key, requireInteger, requireShape, segmentSum, variable } from '@x/core-gpu'
import { euclidean, type Metric } from '../metric.ts'
import { blend } from './blend.ts'
import { type Assigned, type Codebook, type CodeInitialiser, uniformCodes } from './codebook.ts'

export interface EmaCodebookOptions {
  /** how much of the running sums a step keeps; default 0.99 */
  readonly decay?: number
  /** keeps rarely chosen codes' sizes from 0 (Laplace smoothing); default 1e-5 */
  readonly epsilon?: number
  /**
   * Weighs a step code by code: from how many vectors chose each, `[K]`, to what `1 - decay` is multiplied with, `[K]`; 0
   * leaves a code's sums as they are. Default: 1 for all.
   */
  readonly updateWeight?: (counts: tf.Tensor1D) => tf.Tensor1D
  /** default: euclidean; on the sphere codes are normalised after every step */
  readonly metric?: Metric
  /** default: uniform in ±1/K */
  readonly init?: CodeInitialiser
  /** default: `key(0)` */
  readonly key?: Key
}

/**
 * Each code is a running mean of the vectors that chose it; no gradient is involved. arXiv 1711.00937, appendix A
 *
 *     n_j <- m n_j + (1 - m) #{i: k(i) = j},   M_j <- m M_j + (1 - m) sum of those z_i,   e_j = M_j / n_j (smoothed)
 */
export class EmaCodebook extends BaseModule implements Codebook {
  readonly size: number
  readonly dim: number
  /** the codes, `[K, d]` */
  readonly weight: tf.Variable
  /** n, running number of vectors, `[K]`; starts at 1 */
  readonly clusterSize: tf.Variable
  /** M, running sum of vectors, `[K, d]` */
  readonly clusterSum: tf.Variable
  readonly #decay: number
  readonly #epsilon: number
  readonly #updateWeight: EmaCodebookOptions['updateWeight']
  readonly #metric: Metric

  constructor(size: number, dim: number, options: EmaCodebookOptions = {}) {
    super()
    requireInteger('codebookSize', size, 1)
    requireInteger('dim', dim, 1)
    const { decay = 0.99, epsilon = 1e-5, metric = euclidean, init = uniformCodes, key = makeKey(0) } = options
    this.size = size
    this.dim = dim
    this.#decay = decay
    this.#epsilon = epsilon
    this.#updateWeight = options.updateWeight
    this.#metric = metric
    const codes = tf.tidy(() => metric.project(init([size, dim], key)))
    this.clusterSum = variable(tf.clone(codes), { trainable: false })
    this.weight = variable(codes, { trainable: false })
    this.clusterSize = variable(tf.ones([size]), { trainable: false })
  }

  codes(): tf.Tensor2D {
    return tf.clone(this.weight) as tf.Tensor2D
  }

  learn({ z, indices }: Assigned): void {
    tf.tidy(() => {
      const counts = segmentSum(tf.ones(indices.shape) as tf.Tensor1D, indices, this.size) // [K]
      const weight = this.#updateWeight?.(counts)
      if (weight) requireShape('updateWeight', weight, [this.size])
      const share = weight ? tf.mul(1 - this.#decay, weight) : tf.scalar(1 - this.#decay) // [K] or one for all
      const keep = (running: tf.Variable, now: tf.Tensor, rate: tf.Tensor): tf.Tensor =>
        tf.add(tf.mul(tf.sub(1, rate), running), tf.mul(rate, now))
      this.#set(
        keep(this.clusterSize, counts, share),
        keep(this.clusterSum, segmentSum<tf.Tensor2D>(z, indices, this.size), weight ? tf.expandDims(share, 1) : share),
      )
    })
  }

  place(means: tf.Tensor2D, counts: tf.Tensor1D): void {
    tf.tidy(() => {
      // A mean that nothing chose would become the zero vector by M = 0; it counts as chosen once.
      const size = tf.maximum(counts, tf.cast(tf.equal(counts, 0), 'float32'))
      this.#set(size, tf.mul(means, tf.expandDims(size, 1)))
    })
  }

  replace(expired: tf.Tensor1D, rows: tf.Tensor2D, hits: number): void {
    tf.tidy(() => {
      this.weight.assign(blend(expired, rows, this.weight))
      // The running sums too, or the next step would bring the dead code back.
      this.clusterSize.assign(blend(expired, hits, this.clusterSize))
      this.clusterSum.assign(blend(expired, tf.mul(rows, hits), this.clusterSum))
    })
  }

  #set(size: tf.Tensor, sum: tf.Tensor): void {
    this.clusterSize.assign(size)
    this.clusterSum.assign(sum)
    const total = tf.sum(size)
    const smoothed = tf.mul(tf.div(tf.add(size, this.#epsilon), tf.add(total, this.size * this.#epsilon)), total)
    this.weight.assign(this.#metric.project(tf.div(sum, tf.expandDims(smoothed, 1)) as tf.Tensor2D))
  }
}
