import * as tf from '@tensorflow/tfjs-core'

/**
 * Picks rows in a given order, those that count first, and from the start again when they run out.
 * @param rows `[N, d]`
 * @param counts 1 where a row counts, else 0, `[N]`
 * @param order a permutation of the rows
 * @param ranks which row in that order each pick is, `[K]`
 * @returns `[K, d]`
 */
export function pickRows(rows: tf.Tensor2D, counts: tf.Tensor1D, order: Int32Array, ranks: tf.Tensor1D): tf.Tensor2D {
  return tf.tidy(() => {
    const n = rows.shape[0]
    const drawn = tf.tensor1d(order, 'int32')
    const counted = tf.mul(tf.gather(counts, drawn), tf.range(n, 0, -1)) // [N], falling where a row counts
    const first = tf.gather(drawn, tf.topk(counted, n).indices as tf.Tensor1D) // [N]
    const usable = tf.maximum(tf.sum(counts), 1)
    const wrapped = tf.sub(ranks, tf.mul(tf.floor(tf.div(tf.add(ranks, 0.5), usable)), usable))
    return tf.gather(rows, tf.gather(first, tf.cast(tf.round(wrapped), 'int32')))
  })
}
