import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, variable } from '@x/core-gpu'

/**
 * Brings each dimension to mean 0 and variance 1: by the batch in training, by running statistics otherwise.
 *
 * Batch normalisation (arXiv 1502.03167) without scale and shift, and counting only what the mask lets count.
 */
export class Normaliser extends BaseModule {
  /** `[d]` */
  readonly mean: tf.Variable
  /** `[d]` */
  readonly variance: tf.Variable

  constructor(dim: number) {
    super()
    this.mean = variable(tf.zeros([dim]), { trainable: false })
    this.variance = variable(tf.ones([dim]), { trainable: false })
  }

  /**
   * @param rows `[N, d]`
   * @param mask `[N]`, 1 or true where a row counts
   */
  forward(rows: tf.Tensor2D, training: boolean, mask?: tf.Tensor): tf.Tensor2D {
    return tf.tidy(() => {
      if (!training) return standardise(rows, this.mean, this.variance)
      const counts = mask ? tf.expandDims(tf.cast(mask, 'float32'), 1) : tf.ones([rows.shape[0], 1]) // [N, 1]
      const total = tf.maximum(tf.sum(counts), 1)
      const mean = tf.div(tf.sum(tf.mul(rows, counts), 0), total) // [d]
      const deviation = tf.mul(tf.square(tf.sub(rows, mean)), counts)
      const variance = tf.div(tf.sum(deviation, 0), total) // [d]
      this.#follow(this.mean, mean)
      this.#follow(this.variance, tf.mul(variance, tf.div(total, tf.maximum(tf.sub(total, 1), 1))))
      return standardise(rows, mean, variance)
    })
  }

  #follow(running: tf.Variable, now: tf.Tensor): void {
    running.assign(tf.add(tf.mul(running, 1 - MOMENTUM), tf.mul(now, MOMENTUM)))
  }
}

const MOMENTUM = 0.1
const EPSILON = 1e-5

function standardise(rows: tf.Tensor2D, mean: tf.Tensor, variance: tf.Tensor): tf.Tensor2D {
  return tf.div(tf.sub(rows, mean), tf.sqrt(tf.add(variance, EPSILON)))
}
