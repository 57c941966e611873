import * as tf from '@tensorflow/tfjs-core'

export interface MomentWeights {
  /** of the squared mean; default 0.1 */
  readonly mean?: number
  /** of the variance's squared distance to `target`; default 0.07 */
  readonly variance?: number
  /** of the squared skewness; default 0 */
  readonly skewness?: number
  /** of the squared excess kurtosis; default 0 */
  readonly kurtosis?: number
  /** the variance aimed at; default 1 */
  readonly target?: number | undefined
}

/**
 * Holds each dimension's moments over the batch near a distribution's, in the mean over dimensions.
 * arXiv 2602.17133
 * @param z `[N, ...]`
 * @param share of each row, summing to 1, `[N]`; rows with 0 do not count
 */
export function momentLoss(z: tf.Tensor, share: tf.Tensor1D, weights: MomentWeights = {}): tf.Scalar {
  const { mean: a = 0.1, variance: b = 0.07, skewness: c = 0, kurtosis: d = 0, target = 1 } = weights
  return tf.tidy(() => {
    const rows = tf.reshape<tf.Rank.R2>(z, [z.shape[0]!, -1]) // [N, D]
    const weight = tf.expandDims(share, 1) // [N, 1]
    const average = (x: tf.Tensor): tf.Tensor => tf.sum(tf.mul(x, weight), 0) // [D]
    const n = tf.sum(tf.cast(tf.greater(share, 0), 'float32'))
    const mean = average(rows)
    const centred = tf.sub(rows, mean)
    const unbiased = tf.div(n, tf.maximum(tf.sub(n, 1), 1))
    const variance = tf.mul(average(tf.square(centred)), unbiased)
    const term = (weight: number, off: () => tf.Tensor): tf.Tensor[] =>
      weight === 0 ? [] : [tf.mul(tf.mean(tf.square(off())), weight)]
    const scores = (): tf.Tensor => tf.div(centred, tf.sqrt(tf.maximum(variance, 1e-16)))
    const terms = [
      ...term(a, () => mean),
      ...term(b, () => tf.sub(variance, target)),
      ...term(c, () => average(cube(scores()))),
      ...term(d, () => tf.sub(average(tf.square(tf.square(scores()))), 3)),
    ]
    return terms.reduce<tf.Tensor>((sum, each) => tf.add(sum, each), tf.scalar(0)) as tf.Scalar
  })
}

function cube(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.square(x), x)
}
