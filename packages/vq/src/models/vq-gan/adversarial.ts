import * as tf from '@tensorflow/tfjs-core'
import { softplus } from '@x/core-gpu'

/** What the two sides make small, from logits of any shape that are high for what looks real; both []. */
export interface AdversarialLoss {
  /** @param fake logits of reconstructions */
  generator(fake: tf.Tensor): tf.Scalar
  /**
   * @param real logits of images
   * @param fake logits of reconstructions
   */
  discriminator(real: tf.Tensor, fake: tf.Tensor): tf.Scalar
}

/** (mean max(0, 1 - real) + mean max(0, 1 + fake)) / 2, against -mean fake (arXiv 1705.02894, as in 2012.09841). */
export const hinge: AdversarialLoss = {
  generator: (fake) => tf.tidy(() => tf.neg(tf.mean(fake))),
  discriminator: (real, fake) =>
    tf.tidy(() =>
      tf.mul(0.5, tf.add(tf.mean(tf.relu(tf.sub(1, real))), tf.mean(tf.relu(tf.add(1, fake))))),
    ) as tf.Scalar,
}

/** (mean softplus(-real) + mean softplus(fake)) / 2, against mean softplus(-fake) (arXiv 1406.2661). */
export const nonSaturating: AdversarialLoss = {
  generator: (fake) => tf.tidy(() => tf.mean(softplus(tf.neg(fake)))),
  discriminator: (real, fake) =>
    tf.tidy(() => tf.mul(0.5, tf.add(tf.mean(softplus(tf.neg(real))), tf.mean(softplus(fake))))) as tf.Scalar,
}
