import * as tf from '@tensorflow/tfjs-core'

/** The space in which vectors and codes are compared; the nearest code is sought there by Euclidean distance. */
export interface Metric {
  /** @param rows `[N, d]` @returns the rows as points of the space, `[N, d]` */
  project(rows: tf.Tensor2D): tf.Tensor2D
}

/** All of R^d. */
export const euclidean: Metric = { project: (rows) => tf.clone(rows) }

/** The unit sphere: there the nearest code is the one of largest cosine similarity. */
export const cosine: Metric = {
  project: (rows) => tf.tidy(() => tf.div(rows, lengths(rows))),
}

/** |x| of each row, at least 1e-6, `[N, 1]`; with a derivative (0) for a row of zeros too. */
function lengths(rows: tf.Tensor2D): tf.Tensor {
  return tf.sqrt(tf.maximum(tf.sum(tf.square(rows), 1, true), 1e-12))
}
