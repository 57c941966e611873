import { describeValue } from '@x/core-gpu'
import type { FrequencyScaling } from '../rope/rope.ts'

/**
 * Position interpolation: all frequencies divided by one factor. arXiv 2306.15595
 * @param factor how many times longer sequences become, at least 1
 * @throws RangeError for any other factor
 */
export function linearScaling(factor: number): FrequencyScaling {
  requireFactor(factor)
  return { frequencies: ({ frequencies }) => frequencies.map((frequency) => frequency / factor) }
}

/** @throws RangeError unless the factor is a finite number of at least 1 */
export function requireFactor(factor: number): void {
  if (!(factor >= 1 && factor < Infinity))
    throw new RangeError(`factor: expected a number >= 1, got ${describeValue(factor)}`)
}
