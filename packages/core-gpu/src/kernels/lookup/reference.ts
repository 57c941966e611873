import * as tf from '@tensorflow/tfjs-core'

/** Picks rows in plain operations; ids outside the table give rows of `fill`. */
export function gatherRowsReference(table: tf.Tensor, ids: tf.Tensor1D, fill: number): tf.Tensor {
  const rows = table.shape[0]!
  const inside = tf.logicalAnd(tf.greaterEqual(ids, 0), tf.less(ids, rows)) // [N]
  const picked = tf.gather(table, tf.where(inside, ids, tf.zerosLike(ids))) // [N, ...]
  const mask = tf.reshape(inside, [ids.size, ...table.shape.slice(1).map(() => 1)])
  return tf.where(tf.broadcastTo(mask, picked.shape), picked, tf.fill(picked.shape, fill))
}
