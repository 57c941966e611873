import * as tf from '@tensorflow/tfjs-core'
import { logSoftmax, requireShape, softmax } from '@x/core-gpu'
import type { Decoder, LogitsOptions } from './decoder.ts'

export interface NextTokenLossOptions extends Omit<LogitsOptions, 'cache'> {
  /** float32 [B, L], how much the prediction of each token counts, the first of a row never; default: all alike */
  readonly weights?: tf.Tensor2D
}

/**
 * Mean of -ln p(token | those before it), in nats; by ln 2 it is bits per token.
 * @param tokens int32 [B, L], L >= 2
 * @throws RangeError when shapes do not fit
 */
export function nextTokenLoss(model: Decoder, tokens: tf.Tensor2D, options: NextTokenLossOptions = {}): tf.Scalar {
  requireShape('tokens', tokens, [null, null])
  const [batch, length] = tokens.shape
  if (length < 2) throw new RangeError(`tokens: expected at least two in a row, got ${length}`)
  const { weights, ...rest } = options
  if (weights) requireShape('weights', weights, [batch, length])
  return tf.tidy(() => {
    const hidden = model.hidden(tf.slice(tokens, [0, 0], [batch, length - 1]), rest)
    const logits = model.project(tf.reshape(hidden, [batch * (length - 1), -1])) as tf.Tensor2D // [B (L - 1), V]
    const wanted = tf.reshape(tf.slice(tokens, [0, 1], [batch, length - 1]), [-1]) as tf.Tensor1D
    const losses = crossEntropy(logits, wanted)
    if (!weights) return tf.mean(losses) as tf.Scalar
    const counted = tf.reshape(tf.slice(weights, [0, 1], [batch, length - 1]), [-1])
    return tf.div(tf.sum(tf.mul(losses, counted)), tf.sum(counted)) as tf.Scalar
  })
}

/**
 * -ln softmax(logits) at the wanted places; its gradient keeps the logits and nothing else of their size.
 * @param logits [N, V]
 * @param wanted int32 [N]
 * @returns [N]
 */
export function crossEntropy(logits: tf.Tensor2D, wanted: tf.Tensor1D): tf.Tensor1D {
  const places = logits.shape[1]
  const chosen = (of: tf.Tensor): tf.Tensor => tf.cast(tf.oneHot(of as tf.Tensor1D, places), 'float32')
  const compute = tf.customGrad((x, save) => {
    ;(save as (tensors: tf.Tensor[]) => void)([x as tf.Tensor, wanted])
    return {
      value: tf.neg(tf.sum(tf.mul(logSoftmax(x as tf.Tensor), chosen(wanted)), 1)),
      gradFunc: (dy: tf.Tensor, [saved, places]: tf.Tensor[]) =>
        tf.mul(tf.expandDims(dy, 1), tf.sub(softmax(saved!), chosen(places!))),
    }
  })
  return compute(logits) as tf.Tensor1D
}
