import { describeValue } from '@x/core-gpu'
import type { SmoothSchedule } from '../../schedule.ts'
import { type LogSnrRange, requireRange } from '../log-snr-range.ts'
import { smoothSchedule } from '../smooth-schedule.ts'

/**
 * Levels that fall evenly: `logSnr = max + t (min - max)`. arXiv 2107.00630
 * @param options range, default -15 to 15
 * @throws RangeError unless logSnrMin < logSnrMax, both finite
 */
export function linearLogSnrSchedule(options: LogSnrRange = {}): SmoothSchedule {
  const { logSnrMin = -15, logSnrMax = 15 } = options
  requireRange(logSnrMin, logSnrMax)
  if (!Number.isFinite(logSnrMin)) throw new RangeError(`logSnrMin: expected a finite number, got ${logSnrMin}`)
  if (!Number.isFinite(logSnrMax))
    throw new RangeError(`logSnrMax: expected a finite number, got ${describeValue(logSnrMax)}`)
  const slope = logSnrMin - logSnrMax
  return smoothSchedule({
    logSnr: (t) => (t === 1 ? logSnrMin : logSnrMax + t * slope),
    slope: () => slope,
    timeOf: (logSnr) => (logSnr - logSnrMax) / slope,
  })
}
