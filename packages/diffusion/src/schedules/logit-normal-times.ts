import { describeValue } from '@x/core-gpu'
import type { Schedule, SmoothSchedule } from '../schedule.ts'
import { requirePositive } from './log-snr-range.ts'
import { normalQuantile, normalQuantileSlope } from './log-normal/normal-quantile.ts'
import { slopeOf, smoothSchedule } from './smooth-schedule.ts'

export interface LogitNormalTimesOptions {
  /** of logit t; default 0; larger is more noise */
  readonly mean?: number
  /** of logit t; default 1 */
  readonly standardDeviation?: number
}

/**
 * A schedule run through times that are logit-normally distributed when drawn uniformly: `sigmoid(mean + standardDeviation * quantile(t))`.
 *
 * For training; arXiv 2403.03206
 * @throws RangeError for a mean that is no finite number, or a standardDeviation that is not > 0
 */
export function logitNormalTimes(schedule: Schedule, options: LogitNormalTimesOptions = {}): SmoothSchedule {
  const { mean = 0, standardDeviation = 1 } = options
  if (!Number.isFinite(mean)) throw new RangeError(`mean: expected a finite number, got ${describeValue(mean)}`)
  requirePositive('standardDeviation', standardDeviation)
  const at = (t: number): number => 1 / (1 + Math.exp(-mean - standardDeviation * normalQuantile(t)))
  return smoothSchedule({
    logSnr: (t) => schedule(at(t)),
    // At the ends the quantile's derivative wins.
    slope: (t) =>
      t === 0 || t === 1
        ? -Infinity
        : slopeOf(schedule, at(t)) * at(t) * (1 - at(t)) * standardDeviation * normalQuantileSlope(t),
  })
}
