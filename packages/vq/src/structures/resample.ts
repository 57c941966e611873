import * as tf from '@tensorflow/tfjs-core'

/** Weights that make `to` numbers of `from`, `[to][from]`; null where nothing changes. */
export type Resampling = number[][] | null

/** Averages over intervals that cover all: the i-th of `to` is over floor(i from / to) to ceil((i + 1) from / to). */
export function averaging(from: number, to: number): Resampling {
  if (from === to) return null
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [Math.floor((i * from) / to), Math.ceil(((i + 1) * from) / to)]
    return Array.from({ length: from }, (__, j) => (j >= start && j < end ? 1 / (end - start) : 0))
  })
}

/** Between neighbours, in proportion, with pixels' centres at half numbers and the outermost ones extended. */
export function interpolating(from: number, to: number): Resampling {
  if (from === to) return null
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1)
    return Array.from({ length: from }, (__, j) => Math.max(0, 1 - Math.abs(at - j)))
  })
}

/** Resamples images `[B, H, W, d]` along their height and width. */
export function resample(x: tf.Tensor4D, rows: Resampling, columns: Resampling): tf.Tensor4D {
  return tf.tidy(() => {
    const [b, h, w, d] = x.shape
    const high = rows ? along(tf.reshape<tf.Rank.R3>(x, [b, h, w * d]), rows) : x
    const height = rows?.length ?? h
    const wide = columns ? along(tf.reshape<tf.Rank.R3>(high, [b * height, w, d]), columns) : high
    return tf.reshape<tf.Rank.R4>(wide, [b, height, columns?.length ?? w, d])
  })
}

/** `[n, from, m]` to `[n, to, m]`, by one product of matrices. */
function along(x: tf.Tensor3D, weights: number[][]): tf.Tensor3D {
  const [n, from, m] = x.shape
  const first = tf.reshape<tf.Rank.R2>(tf.transpose(x, [1, 0, 2]), [from, n * m])
  const made = tf.reshape<tf.Rank.R3>(tf.matMul(tf.tensor2d(weights), first), [weights.length, n, m])
  return tf.transpose(made, [1, 0, 2])
}
