import type { Denoiser, Guidance } from '../../denoiser.ts'
import { isWithin, type LevelInterval, requireInterval } from '../limited-interval/limited-interval.ts'
import { extrapolate } from '../extrapolate.ts'
import { type GuidanceWeight, requireWeight, weightAt } from '../weight.ts'

export interface AutoGuidanceOptions {
  /** 1 is the denoiser alone */
  readonly weight: GuidanceWeight
  /** levels that are guided; elsewhere the denoiser is asked alone; default: all */
  readonly interval?: LevelInterval
}

/**
 * Guides a denoiser away from a weaker version of itself, smaller or less trained (arXiv 2406.02507).
 *
 * The condition goes to both, so that unlike classifier-free guidance it does not trade variety for likeness.
 * @throws RangeError for a weight that is not finite, or an interval that does not rise
 */
export function autoGuidance<Condition = unknown>(
  weak: Denoiser<Condition>,
  options: AutoGuidanceOptions,
): Guidance<Condition> {
  const { weight, interval } = options
  requireWeight(weight)
  if (interval) requireInterval(interval)
  return (denoiser) => (x, logSnr, condition) => {
    const w = interval && !isWithin(interval, logSnr) ? 1 : weightAt(weight, logSnr)
    return extrapolate(weak, denoiser, w, x, logSnr, condition)
  }
}
