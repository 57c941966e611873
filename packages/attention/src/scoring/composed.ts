import * as tf from '@tensorflow/tfjs-core'
import { type Attended, type Key, stopGradient } from '@x/core-gpu'

/** The parts of attention in plain operations. */
export interface ComposedOptions {
  readonly scale: number
  readonly softcap?: number | undefined
  readonly bias?: tf.Tensor | undefined
  /** bool, broadcastable to [B, h, L, S] */
  readonly mask: tf.Tensor
  readonly sinks?: tf.Tensor1D | undefined
  readonly scoreMod?: ((scores: tf.Tensor4D) => tf.Tensor4D) | undefined
  /** weights that are set to 0, at random; the others grow */
  readonly drop?: { readonly rate: number; readonly key: Key } | undefined
}

// Below any score that means something, and finite: a hidden key's score.
const hidden = -3e38
const visibleFrom = -1e38

/**
 * Attention in plain operations, which takes what no kernel does: it holds some matrices of the size of the scores.
 * @param q [B, h, L, d]
 * @param k [B, g, S, d]
 * @param v [B, g, S, dv]
 * @returns output [B, h, L, dv], 0 for a query that sees no key, and logSumExp [B, h, L]
 */
export function attendComposed(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, options: ComposedOptions): Attended {
  const { scale, softcap, bias, mask, scoreMod, drop } = options
  return tf.tidy(() => {
    let scores = tf.mul(perHead(q, k, true), scale) // [B, h, L, S]
    if (softcap !== undefined) scores = tf.mul(tf.tanh(tf.div(scores, softcap)), softcap)
    if (bias) scores = tf.add(scores, bias)
    if (scoreMod) scores = scoreMod(scores as tf.Tensor4D)
    const seen = tf.logicalAnd(mask, tf.greater(scores, visibleFrom))
    scores = tf.where(seen, scores, hidden)
    const sinks = options.sinks && tf.reshape(options.sinks, [1, -1, 1, 1])
    const most = stopGradient(sinks ? tf.maximum(tf.max(scores, 3, true), sinks) : tf.max(scores, 3, true))
    const powers = tf.where(seen, tf.exp(tf.sub(scores, most)), 0) // [B, h, L, S]
    const sum = tf.sum(powers, 3, true)
    const total = sinks ? tf.add(sum, tf.exp(tf.sub(sinks, most))) : sum
    // A row that sees nothing has no weights at all.
    const some = tf.greater(total, 0) // [B, h, L, 1]
    const divisor = tf.where(some, total, 1)
    const weights = tf.div(powers, divisor)
    const logSumExp = tf.squeeze(tf.where(some, tf.add(most, tf.log(divisor)), -Infinity), [3]) as tf.Tensor3D
    if (!drop) return { output: perHead(weights, v, false), logSumExp }
    const kept = tf.cast(tf.greaterEqual(drop.key.uniform(weights.shape), drop.rate), 'float32')
    return { output: perHead(tf.mul(weights, tf.mul(kept, 1 / (1 - drop.rate))), v, false), logSumExp }
  }) as unknown as Attended
}

/** x [B, h, n, a] times other [B, g, ...] of the head's group, without repeating it. */
function perHead(x: tf.Tensor, other: tf.Tensor4D, transpose: boolean): tf.Tensor4D {
  const [batch, heads, rows, inner] = x.shape as [number, number, number, number]
  const [, groups, ...matrix] = other.shape
  const grouped = tf.reshape(x, [batch * groups, (heads / groups) * rows, inner])
  const product = tf.matMul(grouped, tf.reshape(other, [batch * groups, ...matrix]), false, transpose)
  return tf.reshape(product, [batch, heads, rows, product.shape[2]!])
}
