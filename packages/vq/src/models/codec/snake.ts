import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Layer, requireLastDimension, variable } from '@x/core-gpu'

/**
 * `x + sin(a x)^2 / a` with a trained `a` for each channel, 1 at first: bends a line into something periodic.
 * arXiv 2006.08195, in codecs arXiv 2306.06546
 */
export class Snake extends BaseModule implements Layer {
  /** [C] */
  readonly alpha: tf.Variable
  readonly #channels: number

  constructor(channels: number) {
    super()
    this.#channels = channels
    this.alpha = variable(tf.ones([channels]))
  }

  /**
   * @param x [..., C]
   * @returns [..., C]
   */
  forward(x: tf.Tensor): tf.Tensor {
    requireLastDimension('x', x, this.#channels)
    return tf.tidy(() => tf.add(x, tf.div(tf.square(tf.sin(tf.mul(x, this.alpha))), nonZero(this.alpha))))
  }
}

/** A channel that has come to 0 is a straight line, and stays finite. */
function nonZero(alpha: tf.Tensor): tf.Tensor {
  return tf.add(alpha, 1e-9)
}
