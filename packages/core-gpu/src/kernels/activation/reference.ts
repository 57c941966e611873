import * as tf from '@tensorflow/tfjs-core'

/** Activation functions that are compositions in TensorFlow.js. */
export type Composed = 'gelu' | 'geluTanh' | 'silu'

/** Each in plain operations, to be called in a tidy. */
export const references: Record<Composed, (x: tf.Tensor) => tf.Tensor> = {
  gelu: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),

  geluTanh: (x) => {
    const cubic = tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715))
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1))
  },

  silu: (x) => tf.mul(x, tf.sigmoid(x)),
}
