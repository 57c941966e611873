import type { SmoothSchedule } from '../../schedule.ts'
import { type LogSnrRange, requireRange } from '../log-snr-range.ts'
import { smoothSchedule } from '../smooth-schedule.ts'

/**
 * The cosine schedule in logSNR, cut to a range: `logSnr = -2 ln tan(a + t (b - a))`.
 *
 * Without bounds, alpha = cos(pi t / 2) and sigma = sin(pi t / 2). arXiv 2301.11093
 * @param options range, default -15 to 15; infinite bounds leave it whole
 * @throws RangeError unless logSnrMin < logSnrMax
 */
export function cosineSchedule(options: LogSnrRange = {}): SmoothSchedule {
  const { logSnrMin = -15, logSnrMax = 15 } = options
  requireRange(logSnrMin, logSnrMax)
  const first = Math.atan(Math.exp(-logSnrMax / 2))
  const span = Math.atan(Math.exp(-logSnrMin / 2)) - first
  return smoothSchedule({
    // The ends as given: the tangent near its pole is rounded.
    logSnr: (t) => (t === 0 ? logSnrMax : t === 1 ? logSnrMin : -2 * Math.log(Math.tan(first + t * span))),
    slope: (t) => (-4 * span) / Math.sin(2 * (first + t * span)),
    timeOf: (logSnr) => (Math.atan(Math.exp(-logSnr / 2)) - first) / span,
  })
}
