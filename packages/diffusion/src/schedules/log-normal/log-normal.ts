import { describeValue } from '@x/core-gpu'
import type { SmoothSchedule } from '../../schedule.ts'
import { requirePositive } from '../log-snr-range.ts'
import { smoothSchedule } from '../smooth-schedule.ts'
import { normalQuantile, normalQuantileSlope } from './normal-quantile.ts'

export interface LogNormalScheduleOptions {
  /** of ln sigma; default -1.2 */
  readonly mean?: number
  /** of ln sigma; default 1.2 */
  readonly standardDeviation?: number
}

/**
 * Levels whose ln sigma is normally distributed when times are uniform: `ln sigma = mean + standardDeviation * quantile(t)`.
 *
 * For training. The defaults are EDM's (arXiv 2206.00364); flow matching with logit-normal times (arXiv 2403.03206) is the
 * same with mean 0 and standard deviation 1, as EDM's sigma is s / (1 - s).
 * @throws RangeError for a mean that is no finite number, or a standardDeviation that is not > 0
 */
export function logNormalSchedule(options: LogNormalScheduleOptions = {}): SmoothSchedule {
  const { mean = -1.2, standardDeviation = 1.2 } = options
  if (!Number.isFinite(mean)) throw new RangeError(`mean: expected a finite number, got ${describeValue(mean)}`)
  requirePositive('standardDeviation', standardDeviation)
  return smoothSchedule({
    logSnr: (t) => -2 * (mean + standardDeviation * normalQuantile(t)),
    slope: (t) => -2 * standardDeviation * normalQuantileSlope(t),
  })
}
