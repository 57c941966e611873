import * as tf from '@tensorflow/tfjs-core'

/** Prelu with any broadcasting, in plain operations; tfjs's wasm kernel knows a slope per channel only, tfjs-node's throws. */
export function prelu({ x, alpha }: Record<string, tf.Tensor>): tf.Tensor {
  return tf.where(tf.less(x!, 0), tf.mul(x!, alpha!), x!)
}
