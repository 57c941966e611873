import * as tf from '@tensorflow/tfjs-core'
import type { Denoiser } from '../denoiser.ts'
import type { LogSnr } from '../noise-level.ts'

/** `base + weight (target - base)`, evaluating only what counts; at weight 1 it is the target, at 0 the base. */
export function extrapolate<Condition>(
  base: Denoiser<Condition>,
  target: Denoiser<Condition>,
  weight: number,
  x: tf.Tensor,
  logSnr: LogSnr,
  condition: Condition | undefined,
): tf.Tensor {
  if (weight === 1) return target(x, logSnr, condition)
  if (weight === 0) return base(x, logSnr, condition)
  return tf.tidy(() => {
    const from = base(x, logSnr, condition)
    return tf.add(from, tf.mul(weight, tf.sub(target(x, logSnr, condition), from)))
  })
}
