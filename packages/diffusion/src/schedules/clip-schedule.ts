import type { Schedule, SmoothSchedule } from '../schedule.ts'
import { type LogSnrRange, requireRange } from './log-snr-range.ts'
import { slopeOf, smoothSchedule, timeOf } from './smooth-schedule.ts'

/**
 * The part of a schedule whose levels lie in a range, stretched over [0, 1]; a schedule within the range stays as it is.
 *
 * Before a shift, the range moves with it (`shiftSchedule(clipSchedule(...))`); after it, the range is that of the result.
 * @param options range, default unbounded
 * @throws RangeError unless logSnrMin < logSnrMax, and when no level lies between
 */
export function clipSchedule(schedule: Schedule, options: LogSnrRange): SmoothSchedule {
  const { logSnrMin = -Infinity, logSnrMax = Infinity } = options
  requireRange(logSnrMin, logSnrMax)
  const start = timeOf(schedule, logSnrMax)
  const end = timeOf(schedule, logSnrMin)
  if (!(start < end))
    throw new RangeError(
      `logSnrMin: expected a range that the schedule crosses, got [${logSnrMin}, ${logSnrMax}] for ` +
        `[${schedule(1)}, ${schedule(0)}]`,
    )
  // The ends as given, whatever inverting costs in accuracy.
  const [clean, noise] = [Math.min(schedule(0), logSnrMax), Math.max(schedule(1), logSnrMin)]
  const at = (t: number): number => Math.min(1, start + t * (end - start))
  return smoothSchedule({
    logSnr: (t) => (t === 0 ? clean : t === 1 ? noise : schedule(at(t))),
    slope: (t) => slopeOf(schedule, at(t)) * (end - start),
    timeOf: (logSnr) => (timeOf(schedule, logSnr) - start) / (end - start),
  })
}
