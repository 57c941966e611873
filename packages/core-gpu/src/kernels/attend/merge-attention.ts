import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { requireShape } from '../../validation/validation.ts'
import type { Attended } from './contract.ts'

const visibleFrom = -1e38

/**
 * Joins attention over disjoint sets of keys to attention over all of them; differentiable.
 *
 * Each part weighs exp(logSumExp), so the order does not matter, and a part that saw nothing weighs 0. A sink belongs to
 * one part only.
 * @param parts at least one; output [B, h, L, dv] and logSumExp [B, h, L]
 * @throws RangeError when there is no part, or the shapes differ
 */
export function mergeAttention(parts: readonly Attended[]): Attended {
  const [first] = parts
  if (!first) throw new RangeError('parts: expected at least one, got none')
  parts.forEach(({ output, logSumExp }, i) => {
    requireShape(`parts[${i}].output`, output, first.output.shape)
    requireShape(`parts[${i}].logSumExp`, logSumExp, first.output.shape.slice(0, 3))
  })
  return tf.tidy(() => {
    const sums = tf.stack(parts.map(({ logSumExp }) => logSumExp)) // [parts, B, h, L]
    const most = tf.max(stopGradient(sums), 0)
    const some = tf.greater(most, visibleFrom) // [B, h, L]
    const weights = tf.exp(tf.sub(sums, tf.where(some, most, 0))) // [parts, B, h, L]
    const total = tf.sum(weights, 0)
    const divisor = tf.where(some, total, 1)
    const outputs = tf.stack(parts.map(({ output }) => output)) // [parts, B, h, L, dv]
    const output = tf.sum(tf.mul(outputs, tf.expandDims(tf.div(weights, divisor), 4)), 0) as tf.Tensor4D
    const logSumExp = tf.where(some, tf.add(most, tf.log(divisor)), -Infinity) as tf.Tensor3D
    return { output, logSumExp }
  }) as unknown as Attended
}
