import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, initialisers, type Key, variable } from '@x/core-gpu'

/**
 * A fixed random turn of the space before scalar quantization, so that no direction of the data lies along an axis; it is
 * turned back afterwards. After arXiv 2307.13304
 */
export class Rotation extends BaseModule {
  /** orthogonal, `[D, D]` */
  readonly matrix: tf.Variable

  constructor(dim: number, key: Key) {
    super()
    const made = initialisers.orthogonal()([dim, dim], { in: dim, out: dim }, key)
    this.matrix = variable(made, { trainable: false })
  }

  /** @param x `[..., D]` @returns `x R` */
  forward(x: tf.Tensor): tf.Tensor {
    return this.#times(x, false)
  }

  /** @param x `[..., D]` @returns `x R^T` */
  back(x: tf.Tensor): tf.Tensor {
    return this.#times(x, true)
  }

  #times(x: tf.Tensor, transposed: boolean): tf.Tensor {
    return tf.tidy(() => {
      const rows = tf.reshape<tf.Rank.R2>(x, [-1, this.matrix.shape[0]!])
      return tf.reshape(tf.matMul(rows, this.matrix as unknown as tf.Tensor2D, false, transposed), x.shape)
    })
  }
}
