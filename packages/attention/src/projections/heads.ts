import * as tf from '@tensorflow/tfjs-core'

/** [B, L, heads * width] as [B, heads, L, width]. */
export function splitHeads(x: tf.Tensor, heads: number): tf.Tensor4D {
  const [batch, length, width] = x.shape as [number, number, number]
  return tf.tidy(() => tf.transpose(tf.reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3]) as tf.Tensor4D)
}

/** [B, heads, L, width] as [B, L, heads * width]. */
export function joinHeads(x: tf.Tensor4D): tf.Tensor3D {
  const [batch, heads, length, width] = x.shape
  return tf.tidy(() => tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, length, heads * width]))
}

/** The product of every head with a matrix of its own: [B, h, L, a] and [h, a, b] (or [h, b, a]) give [B, h, L, b]. */
export function perHeadProduct(x: tf.Tensor4D, matrices: tf.Tensor3D, transpose = false): tf.Tensor4D {
  const [batch, heads, length, width] = x.shape
  return tf.tidy(() => {
    const rows = tf.reshape(tf.transpose(x, [1, 0, 2, 3]), [heads, batch * length, width])
    const product = tf.matMul(rows, matrices, false, transpose)
    const joined = tf.reshape(product, [heads, batch, length, product.shape[2]!])
    return tf.transpose(joined, [1, 0, 2, 3]) as tf.Tensor4D
  })
}

/** One head for all of them: [B, 1, L, width] as [B, heads, L, width]. */
export function forAllHeads(x: tf.Tensor4D, heads: number): tf.Tensor4D {
  return heads === 1 ? tf.clone(x) : tf.tile(x, [1, heads, 1, 1])
}
