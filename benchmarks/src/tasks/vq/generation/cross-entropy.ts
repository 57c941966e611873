import * as tf from '@tensorflow/tfjs-core'
import { logSoftmax } from '@x/core-gpu'

/**
 * -log softmax(logits) at the given classes, in nats.
 * @param logits [N, K]
 * @param classes int32 [N], each from 0 to K - 1
 * @returns [N]
 */
export function crossEntropy(logits: tf.Tensor2D, classes: tf.Tensor1D): tf.Tensor1D {
  return tf.tidy(() => {
    const wanted = tf.oneHot(classes, logits.shape[1]) // [N, K]
    return tf.neg(tf.sum(tf.mul(logSoftmax(logits), tf.cast(wanted, 'float32')), 1))
  })
}
