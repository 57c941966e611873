import * as tf from '@tensorflow/tfjs-core'

/**
 * Shifts and scales to mean 0 and variance 1 over the given axes.
 *
 * To be called in a `tf.tidy`. Mean and (biased) variance keep the reduced axes as 1.
 */
export function standardise(
  x: tf.Tensor,
  axes: number[],
  epsilon: number,
): { normalised: tf.Tensor; mean: tf.Tensor; variance: tf.Tensor } {
  const mean = tf.mean(x, axes, true)
  const centred = tf.sub(x, mean)
  const variance = tf.mean(tf.square(centred), axes, true)
  return { normalised: tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon))), mean, variance }
}
