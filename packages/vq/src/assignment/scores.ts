import * as tf from '@tensorflow/tfjs-core'

/** How well codes fit vectors: `[n, d]` and `[K, d]` to `[n, K]`, larger is better; differentiable towards both. */
export type Score = (z: tf.Tensor2D, codes: tf.Tensor2D) => tf.Tensor2D

/** z.e; on the unit sphere the cosine. */
export const dotScore: Score = (z, codes) => tf.matMul(z, codes, false, true)

/** -|z - e|, the distance itself, not its square. */
export const distanceScore: Score = (z, codes) =>
  tf.tidy(() => {
    const squares = (x: tf.Tensor2D): tf.Tensor => tf.sum(tf.square(x), 1, true)
    const apart = tf.sub(tf.add(squares(z), tf.transpose(squares(codes))), tf.mul(2, dotScore(z, codes))) // [n, K]
    // Kept off 0, where the root has no derivative.
    return tf.neg(tf.sqrt(tf.maximum(apart, 1e-12)))
  })

/** `'distance'` or `'dot'`, by name. */
export type ScoreName = 'distance' | 'dot'

export function scoreOf(name: ScoreName): Score {
  return name === 'dot' ? dotScore : distanceScore
}
