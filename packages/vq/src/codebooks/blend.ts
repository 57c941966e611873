import * as tf from '@tensorflow/tfjs-core'

/** Row by row, `a` where `chosen` is 1 and `b` where it is 0: `chosen` `[K]`, `a` and `b` `[K, ...]`. */
export function blend<T extends tf.Tensor>(chosen: tf.Tensor1D, a: tf.Tensor | number, b: T): T {
  const pick = tf.reshape(tf.cast(chosen, 'bool'), [-1, ...Array.from({ length: b.rank - 1 }, () => 1)])
  return tf.where(pick, typeof a === 'number' ? tf.fill(b.shape, a) : a, b) as T
}
