import { describeValue, requireInteger } from '@x/core-gpu'
import { requireFactor } from '../linear/linear.ts'
import type { FrequencyScaling } from '../rope/rope.ts'

export interface Llama3Options {
  /** how many times longer sequences become; default 8 */
  readonly factor?: number
  /** waves longer than the original length divided by this are slowed by the whole factor; default 1 */
  readonly lowFrequencyFactor?: number
  /** waves shorter than the original length divided by this stay; default 4 */
  readonly highFrequencyFactor?: number
  /** length of the training's sequences; default 8192 */
  readonly originalLength?: number
}

/**
 * The frequencies of Llama 3.1: short waves stay, long ones are interpolated, a blend between. arXiv 2407.21783
 * @throws RangeError naming the option that is out of range
 */
export function llama3Scaling(options: Llama3Options = {}): FrequencyScaling {
  const { factor = 8, lowFrequencyFactor: low = 1, highFrequencyFactor: high = 4, originalLength = 8192 } = options
  requireFactor(factor)
  requireInteger('originalLength', originalLength, 1)
  if (!(low > 0)) throw new RangeError(`lowFrequencyFactor: expected a number > 0, got ${describeValue(low)}`)
  if (!(high > low))
    throw new RangeError(
      `highFrequencyFactor: expected more than lowFrequencyFactor ${low}, got ${describeValue(high)}`,
    )
  return {
    frequencies: ({ frequencies }) =>
      frequencies.map((frequency) => {
        const waves = (originalLength * frequency) / (2 * Math.PI) // over the original length
        const kept = Math.min(1, Math.max(0, (waves - low) / (high - low)))
        return (1 - kept) * (frequency / factor) + kept * frequency
      }),
  }
}
