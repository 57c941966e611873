import * as tf from '@tensorflow/tfjs-core'

/** `snap(x)` with the gradient of x: rounding, straight through. */
export function roundTo(x: tf.Tensor, snap: (x: tf.Tensor) => tf.Tensor): tf.Tensor {
  const apply = tf.customGrad((input) => ({
    value: snap(input as tf.Tensor),
    gradFunc: (g: tf.Tensor) => tf.clone(g),
  }))
  return apply(x)
}
