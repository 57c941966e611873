import * as tf from '@tensorflow/tfjs-core'

/** Whether an element is among the highest of its row, bool in the shape of `x`; of those that equal the last of them all are. */
export function highest(x: tf.Tensor4D, count: number): tf.Tensor4D {
  const { values } = tf.topk(x, Math.min(count, x.shape[3]), true)
  return tf.greaterEqual(x, tf.min(values, 3, true))
}
