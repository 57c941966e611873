import { describeValue } from '@x/core-gpu'
import { type LogSnr, requireLogSnr } from '../noise-level.ts'
import type { Schedule, SmoothSchedule } from '../schedule.ts'

/** What a schedule consists of; called with t in [0, 1] and levels within its range only. */
export interface ScheduleParts {
  readonly logSnr: (t: number) => LogSnr
  /** d logSnr / dt */
  readonly slope: (t: number) => number
  /** the inverse; default: found by bisection */
  readonly timeOf?: (logSnr: LogSnr) => number
}

/**
 * Makes a schedule from its level, derivative and inverse.
 * @throws RangeError when the level at 0 is not above the one at 1; the schedule itself throws for a time outside [0, 1]
 */
export function smoothSchedule({ logSnr, slope, timeOf }: ScheduleParts): SmoothSchedule {
  const [clean, noise] = [logSnr(0), logSnr(1)]
  if (!(clean > noise)) throw new RangeError(`logSnr: expected to fall from t = 0 to 1, got ${clean} and ${noise}`)
  const schedule = (t: number): LogSnr => {
    requireTime(t)
    return logSnr(t)
  }
  return Object.assign(schedule, {
    slope: (t: number): number => {
      requireTime(t)
      return Number.isFinite(logSnr(t)) ? slope(t) : -Infinity
    },
    timeOf: (level: LogSnr): number => {
      requireLogSnr(level)
      if (level >= clean) return 0
      if (level <= noise) return 1
      return timeOf ? Math.min(1, Math.max(0, timeOf(level))) : bisect(logSnr, level)
    },
  })
}

/**
 * d logSnr / dt of any schedule: its own derivative, or else by differences.
 * @throws RangeError for a time outside [0, 1]
 */
export function slopeOf(schedule: Schedule, t: number): number {
  if (isSmooth(schedule)) return schedule.slope(t)
  requireTime(t)
  if (!Number.isFinite(schedule(t))) return -Infinity
  // Four points around t, or beside it at an end: exact up to the fourth power.
  const step = Math.min(1e-3, t > 0 && t < 1 ? Math.min(t, 1 - t) / 4 : 1e-3)
  const at = (k: number): number => schedule(t + k * step)
  if (t > 0 && t < 1) return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
  const side = t === 0 ? 1 : -1
  const weights = [-25, 48, -36, 16, -3]
  return (side * weights.reduce((sum, weight, k) => sum + weight * at(side * k), 0)) / (12 * step)
}

/**
 * The time at which any schedule reaches a level, by its own inverse, or else by bisection.
 * @returns 0 or 1 for levels beyond the ends
 * @throws RangeError for a level that is NaN
 */
export function timeOf(schedule: Schedule, logSnr: LogSnr): number {
  if (isSmooth(schedule)) return schedule.timeOf(logSnr)
  requireLogSnr(logSnr)
  if (logSnr >= schedule(0)) return 0
  if (logSnr <= schedule(1)) return 1
  return bisect(schedule, logSnr)
}

/** @throws RangeError unless t is in [0, 1] */
export function requireTime(t: number): void {
  if (typeof t !== 'number' || !(t >= 0 && t <= 1))
    throw new RangeError(`t: expected a number from 0 to 1, got ${describeValue(t)}`)
}

function isSmooth(schedule: Schedule): schedule is SmoothSchedule {
  return 'slope' in schedule && 'timeOf' in schedule
}

function bisect(logSnr: (t: number) => LogSnr, level: LogSnr): number {
  let [low, high] = [0, 1]
  for (;;) {
    const middle = (low + high) / 2
    if (middle <= low || middle >= high || high - low < Number.EPSILON / 4) return middle
    if (logSnr(middle) > level) low = middle
    else high = middle
  }
}
