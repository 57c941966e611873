import * as tf from '@tensorflow/tfjs-core'
import { BaseModule } from '../module/module.ts'
import { requireTensor } from '../validation/validation.ts'
import type { ForwardContext, Layer } from './layer.ts'

/** Zeroes elements at random in training and scales the others up, so that the expectation stays (arXiv 1207.0580). */
export class Dropout extends BaseModule implements Layer {
  readonly rate: number

  /**
   * @param rate the probability that an element is dropped, in [0, 1)
   * @throws RangeError for any other rate
   */
  constructor(rate: number) {
    super()
    if (!(rate >= 0 && rate < 1)) throw new RangeError(`rate: expected a number in [0, 1), got ${rate}`)
    this.rate = rate
  }

  /**
   * @param x any shape
   * @returns the same shape
   * @throws RangeError in training without a key
   */
  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    requireTensor('x', x)
    if (!context.training || this.rate === 0) return tf.clone(x)
    const { key } = context
    if (!key) throw new RangeError('context.key: dropout needs a key in training, got none')
    return tf.tidy(() => {
      const kept = tf.cast(tf.greaterEqual(key.uniform(x.shape), this.rate), 'float32')
      return tf.mul(x, tf.mul(kept, 1 / (1 - this.rate)))
    })
  }
}
