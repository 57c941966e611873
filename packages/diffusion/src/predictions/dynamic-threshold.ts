import * as tf from '@tensorflow/tfjs-core'
import { describeValue, stopGradient } from '@x/core-gpu'
import type { Guidance } from '../denoiser.ts'
import { mapDenoised } from './map-denoised.ts'

export interface DynamicThresholdOptions {
  /** share of a sample's numbers that are left as they are, 0 to 1; default 0.995 */
  readonly percentile?: number
  /** the largest threshold; default Infinity */
  readonly max?: number
}

/**
 * Clips the predicted clean sample at a quantile of its own magnitudes, at least 1, and scales it back into -1 to 1; keeps
 * strong guidance from saturating. Differentiation takes the threshold for a constant. arXiv 2205.11487
 * @throws RangeError unless percentile is from 0 to 1 and max >= 1
 */
export function dynamicThreshold<Condition = unknown>(options: DynamicThresholdOptions = {}): Guidance<Condition> {
  const { percentile = 0.995, max = Infinity } = options
  if (!(percentile >= 0 && percentile <= 1))
    throw new RangeError(`percentile: expected a number from 0 to 1, got ${describeValue(percentile)}`)
  if (!(max >= 1)) throw new RangeError(`max: expected a number >= 1, got ${describeValue(max)}`)
  return (denoiser) =>
    mapDenoised(denoiser, (denoised) => {
      const flat = tf.reshape(denoised, [denoised.shape[0]!, -1]) as tf.Tensor2D // [B, n]
      const above = tf.maximum(quantile(tf.abs(stopGradient(flat)), percentile), 1)
      const threshold = max === Infinity ? above : tf.minimum(above, max) // [B, 1]
      const clipped = tf.div(tf.maximum(tf.minimum(flat, threshold), tf.neg(threshold)), threshold)
      return tf.reshape(clipped, denoised.shape)
    })
}

/** Each row's quantile, linear between two of its numbers: `[B, n]` to `[B, 1]`. */
function quantile(rows: tf.Tensor2D, share: number): tf.Tensor2D {
  const n = rows.shape[1]
  const place = share * (n - 1)
  const below = Math.floor(place)
  // Largest first: the number at `below` is the last of so many.
  const { values } = tf.topk(rows, n - below)
  const at = (place: number): tf.Tensor2D => tf.slice(values, [0, n - 1 - place], [-1, 1])
  const low = at(below)
  return below === place ? low : tf.add(low, tf.mul(place - below, tf.sub(at(below + 1), low)))
}
