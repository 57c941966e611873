import { requireInteger, rotaryFrequencies } from '@x/core-gpu'
import { requireFactor } from '../linear/linear.ts'
import type { FrequencyContext, FrequencyScaling } from '../rope/rope.ts'

/**
 * NTK-aware scaling: a larger base, by which the slowest pair is slowed by the whole factor and the fastest not at all.
 * Described in arXiv 2309.00071, section 3.1
 * @param factor how many times longer sequences become, at least 1
 * @throws RangeError for any other factor
 */
export function ntkScaling(factor: number): FrequencyScaling {
  requireFactor(factor)
  return { frequencies: (context) => withBase(context, factor) }
}

export interface DynamicNtkOptions {
  /** at least 1 */
  readonly factor: number
  /** length of the training's sequences */
  readonly originalLength: number
  /** length of the sequences to read; up to `originalLength` nothing changes */
  readonly length: number
}

/**
 * NTK-aware scaling as strong as a length asks for. Described in arXiv 2309.00071, section 3.3
 *
 * The length is given and stays: frequencies that followed a growing sequence would not fit the keys already turned.
 * @throws RangeError naming the option that is out of range
 */
export function dynamicNtkScaling({ factor, originalLength, length }: DynamicNtkOptions): FrequencyScaling {
  requireFactor(factor)
  requireInteger('originalLength', originalLength, 1)
  requireInteger('length', length, 1)
  const stretch = factor * (Math.max(length, originalLength) / originalLength) - (factor - 1)
  return { frequencies: (context) => withBase(context, stretch) }
}

/** theta s^(d / (d - 2)); one pair alone has frequency 1 under any base. */
function withBase({ dims, theta, frequencies }: FrequencyContext, factor: number): Float64Array {
  return dims === 2 ? frequencies : rotaryFrequencies(dims, theta * factor ** (dims / (dims - 2)))
}
