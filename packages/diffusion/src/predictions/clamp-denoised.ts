import * as tf from '@tensorflow/tfjs-core'
import { describeValue } from '@x/core-gpu'
import type { Guidance } from '../denoiser.ts'
import { mapDenoised } from './map-denoised.ts'

export interface ClampDenoisedOptions {
  /** default -1 */
  readonly min?: number
  /** default 1 */
  readonly max?: number
}

/**
 * Keeps the predicted clean sample within the data's range, at every step. arXiv 2006.11239
 * @throws RangeError unless min < max
 */
export function clampDenoised<Condition = unknown>(options: ClampDenoisedOptions = {}): Guidance<Condition> {
  const { min = -1, max = 1 } = options
  if (!(min < max))
    throw new RangeError(`min: expected a number below max, got ${describeValue(min)} and ${describeValue(max)}`)
  return (denoiser) => mapDenoised(denoiser, (denoised) => tf.clipByValue(denoised, min, max))
}
