import * as tf from '@tensorflow/tfjs-core'
import type { Denoiser, Guidance } from '../../denoiser.ts'
import { isWithin, type LevelInterval, requireInterval } from '../limited-interval/limited-interval.ts'
import { extrapolate } from '../extrapolate.ts'
import { type GuidanceWeight, requireWeight, weightAt } from '../weight.ts'

export interface ClassifierFreeOptions<Condition = unknown> {
  /** 1 is the conditional prediction alone, 0 the unconditional one; papers that write `1 + w` mean one more than theirs */
  readonly weight: GuidanceWeight
  /** how far, 0 to 1, the spread of each prediction is brought back to that of the conditional one (arXiv 2305.08891); default 0 */
  readonly rescale?: number
  /** levels that are guided; elsewhere the prediction is the conditional one; default: all */
  readonly interval?: LevelInterval
  /** what stands for no condition, or a negative one; default: undefined */
  readonly unconditional?: Condition
}

/**
 * Classifier-free guidance (arXiv 2207.12598): away from what is predicted without the condition, `u + w (c - u)`.
 *
 * Works on the predicted clean sample, which for fixed x and level is the same as on noise or velocity, but for `rescale`. The density that it
 * samples is not the one tilted by the power w. Without a condition, the prediction is the unconditional one.
 * @throws RangeError for a weight that is not finite, a rescale outside [0, 1], or an interval that does not rise
 */
export function classifierFree<Condition = unknown>(options: ClassifierFreeOptions<Condition>): Guidance<Condition> {
  const { weight, rescale = 0, interval, unconditional } = options
  requireWeight(weight)
  if (!(rescale >= 0 && rescale <= 1)) throw new RangeError(`rescale: expected 0 to 1, got ${String(rescale)}`)
  if (interval) requireInterval(interval)
  return (denoiser) => {
    const without: Denoiser<Condition> = (x, logSnr) => denoiser(x, logSnr, unconditional)
    return (x, logSnr, condition) => {
      if (condition === undefined) return without(x, logSnr)
      const w = interval && !isWithin(interval, logSnr) ? 1 : weightAt(weight, logSnr)
      if (rescale === 0 || w === 1) return extrapolate(without, denoiser, w, x, logSnr, condition)
      return tf.tidy(() => {
        const conditional = denoiser(x, logSnr, condition)
        const guided = extrapolate(without, () => conditional, w, x, logSnr, condition)
        return rescaled(guided, conditional, rescale)
      })
    }
  }
}

/** `phi g std(c) / std(g) + (1 - phi) g`, deviations over all but the batch. */
function rescaled(guided: tf.Tensor, conditional: tf.Tensor, phi: number): tf.Tensor {
  const axes = guided.shape.map((_, axis) => axis).slice(1)
  const variance = (x: tf.Tensor): tf.Tensor => tf.moments(x, axes, true).variance
  // An all but constant prediction has no spread to bring back.
  const ratio = tf.sqrt(tf.div(variance(conditional), tf.maximum(variance(guided), 1e-20)))
  return tf.mul(guided, tf.add(tf.mul(phi, ratio), 1 - phi))
}
