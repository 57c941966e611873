import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@x/core-gpu'

/** The decoder's last layer, and the gradients of two losses towards the image that it gives. */
export interface LastLayer {
  /** what the layer sees, [B, H, W, features] */
  readonly features: tf.Tensor4D
  /** its weight, [3, 3, features, channels]; padded by one pixel */
  readonly weight: tf.Tensor4D
  /** [B, H, W, channels] */
  readonly reconstruction: tf.Tensor4D
  /** [B, H, W, channels] */
  readonly adversarial: tf.Tensor4D
}

export interface AdaptiveWeightOptions {
  /** greatest weight; default 1e4 */
  readonly max?: number
  /** added to the adversarial norm; default 1e-4 */
  readonly delta?: number
}

/**
 * The weight that makes the adversarial loss move the last layer as much as the reconstruction loss does: the ratio of
 * the norms of their gradients towards its weight, at most `max`. arXiv 2012.09841
 *
 * A layer's gradient follows from what it sees and the gradient at what it gives. So no loss is taken back through the
 * decoder here: each costs one gradient of one convolution.
 * @returns [], a constant to differentiation
 */
export function adaptiveWeight(layer: LastLayer, options: AdaptiveWeightOptions = {}): tf.Scalar {
  const { max = 1e4, delta = 1e-4 } = options
  return tf.tidy(() => {
    const [features, weight] = [stopGradient(layer.features), stopGradient(layer.weight)]
    const towardsWeight = tf.grad((w: tf.Tensor) => tf.conv2d(features, w as tf.Tensor4D, 1, 'same'))
    const norm = (dy: tf.Tensor): tf.Tensor => tf.sqrt(tf.sum(tf.square(towardsWeight(weight, stopGradient(dy)))))
    return tf.minimum(tf.div(norm(layer.reconstruction), tf.add(norm(layer.adversarial), delta)), max)
  }) as tf.Scalar
}
