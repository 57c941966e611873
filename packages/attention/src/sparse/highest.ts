import * as tf from '@tensorflow/tfjs-core'

/** Whether an element is among the highest of its row, bool in the shape of `x`. */
export function highest(x: tf.Tensor4D, count: number): tf.Tensor4D {
  const size = x.shape[3]
  if (count >= size) return tf.onesLike(tf.cast(x, 'bool'))
  const { indices } = tf.topk(x, count, true) // [..., count]
  const rows = tf.reshape(tf.cast(indices, 'int32'), [-1, count])
  const chosen = tf.max(tf.oneHot(rows as tf.Tensor2D, size), 1)
  return tf.reshape(tf.cast(chosen, 'bool'), x.shape)
}
