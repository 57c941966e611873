import * as tf from '@tensorflow/tfjs-core'

/** Sums rows by segment in plain operations: a scatter into one row more, which takes the rows of no segment. */
export function segmentSumReference(x: tf.Tensor, ids: tf.Tensor1D, count: number): tf.Tensor {
  const targets = tf.expandDims(withoutOutside(ids, count), 1) // [N, 1]
  const scattered = tf.scatterND(targets, x, [count + 1, ...x.shape.slice(1)])
  return tf.slice(scattered, 0, count)
}

/** The ids [N], with `count` in the place of those outside [0, count). */
export function withoutOutside(ids: tf.Tensor1D, count: number): tf.Tensor1D {
  const outside = tf.logicalOr(tf.less(ids, 0), tf.greaterEqual(ids, count))
  return tf.where(outside, tf.fill(ids.shape, count, 'int32'), ids) as tf.Tensor1D
}
