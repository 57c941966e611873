import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, nearestCode, requireInteger, segmentSum, variable } from '@x/core-gpu'
import type { Assigned, Codebook } from '../codebooks/codebook.ts'
import { keyFor } from '../step.ts'
import type { Revival } from './dead-codes.ts'

export interface OnlineClustersOptions {
  /** how much of the running use a step keeps; default 0.99 */
  readonly decay?: number
  /** what a code moves to: its closest vector of the batch, or a random one (training then needs keys); default `'closest'` */
  readonly anchor?: 'closest' | 'random'
}

/**
 * Online clustering (CVQ-VAE): in every step each code moves to a vector of the batch, the farther the less it is used.
 * arXiv 2307.15139
 *
 *     e <- (1 - a) e + a anchor,   a = exp(-10 K p / (1 - decay) - 1e-3),   p a running share of the choices
 *
 * For codes that learn by gradient: averaged ones would undo the move, and are refused.
 */
export class OnlineClusters extends BaseModule implements Revival {
  /** p, running share of choices, `[K]`; starts at 0 */
  readonly use: tf.Variable
  readonly #decay: number
  readonly #anchor: 'closest' | 'random'

  /** @throws RangeError when an option is out of range */
  constructor(codebookSize: number, options: OnlineClustersOptions = {}) {
    super()
    const { decay = 0.99, anchor = 'closest' } = options
    requireInteger('codebookSize', codebookSize, 1)
    if (!(decay > 0 && decay < 1)) throw new RangeError(`decay: expected a number between 0 and 1, got ${decay}`)
    if (anchor !== 'closest' && anchor !== 'random')
      throw new RangeError(`anchor: expected closest or random, got ${String(anchor)}`)
    this.use = variable(tf.zeros([codebookSize]), { trainable: false })
    this.#decay = decay
    this.#anchor = anchor
  }

  replace(codebook: Codebook, { z, indices }: Assigned, key: Key | undefined): void {
    if (!codebook.replace || codebook.learn)
      throw new TypeError('revive: online clustering moves codes that learn by gradient, and this codebook has none')
    const size = this.use.shape[0]!
    tf.tidy(() => {
      const counted = tf.cast(tf.greaterEqual(indices, tf.scalar(0, 'int32')), 'float32') as tf.Tensor1D // [N]
      const total = tf.maximum(tf.sum(counted), 1)
      const share = tf.div(segmentSum(counted, indices, size), total) // [K]
      const use = tf.add(tf.mul(this.#decay, this.use), tf.mul(1 - this.#decay, share))
      this.use.assign(use)
      const a = tf.exp(tf.sub(tf.mul(use, (-10 * size) / (1 - this.#decay)), 1e-3)) // [K]
      const codes = codebook.codes() // [K, d]
      const anchors = this.#anchors(codes, z, counted, key) // [K, d]
      const moved = tf.add(codes, tf.mul(tf.expandDims(a, 1), tf.sub(anchors, codes))) as tf.Tensor2D
      const some = tf.cast(tf.greater(tf.sum(counted), 0), 'float32')
      codebook.replace!(tf.mul(tf.ones([size]), some) as tf.Tensor1D, moved, 1)
    })
  }

  #anchors(codes: tf.Tensor2D, z: tf.Tensor2D, counted: tf.Tensor1D, key: Key | undefined): tf.Tensor2D {
    // Vectors that do not count are put out of reach.
    const rows = tf.where(tf.expandDims(tf.cast(counted, 'bool'), 1), z, tf.fill(z.shape, 1e15)) as tf.Tensor2D
    if (this.#anchor === 'closest') return tf.gather(z, nearestCode(codes, rows).indices)
    // Points drawn along the running number of vectors that count.
    const points = tf.mul(keyFor('revival', key).uniform([codes.shape[0], 1]), tf.sum(counted)) // [K, 1]
    const drawn = nearestCode(
      tf.add(tf.floor(points), 1) as tf.Tensor2D,
      tf.expandDims(
        tf.where(tf.cast(counted, 'bool'), tf.cumsum(counted), tf.fill(counted.shape, 1e15)),
        1,
      ) as tf.Tensor2D,
    )
    return tf.gather(z, drawn.indices)
  }
}
