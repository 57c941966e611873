import { describeValue } from '@x/core-gpu'
import type { LogSnr } from '../noise-level.ts'
import type { Schedule, SmoothSchedule } from '../schedule.ts'
import { requirePositive } from './log-snr-range.ts'
import { slopeOf, smoothSchedule, timeOf } from './smooth-schedule.ts'

/** What is added to logSNR, linear in time. */
export interface LogSnrShift {
  /** at t = 0 */
  readonly atData: number
  /** at t = 1 */
  readonly atNoise: number
}

export interface ResolutionShiftOptions {
  /** pixels along one side, for which the schedule was made; usually 64 */
  readonly noise: number
  /** pixels along one side of the images */
  readonly image: number
}

export interface InterpolatedShiftOptions {
  /** what `noise` is of `resolutionShift` near t = 0, where detail is made */
  readonly atData: number
  /** what it is near t = 1, where the layout is made */
  readonly atNoise: number
  /** pixels along one side of the images */
  readonly image: number
}

/**
 * How far logSNR must move for larger images: `2 ln(noise / image)`, as averaging s x s pixels raises SNR by s^2. arXiv 2301.11093
 * @throws RangeError for sizes that are not > 0
 */
export function resolutionShift({ noise, image }: ResolutionShiftOptions): number {
  requirePositive('noise', noise)
  requirePositive('image', image)
  return 2 * Math.log(noise / image)
}

/**
 * A resolution's shift near the data and another near noise, linear in time between. arXiv 2301.11093
 *
 * Published versions differ in direction, so that both ends are named: `{ atData: 256, atNoise: 32 }` is the code of the
 * paper's appendix, the other way round its equation 6.
 * @throws RangeError for sizes that are not > 0
 */
export function interpolatedShift({ atData, atNoise, image }: InterpolatedShiftOptions): LogSnrShift {
  requirePositive('atData', atData)
  requirePositive('atNoise', atNoise)
  requirePositive('image', image)
  return { atData: 2 * Math.log(atData / image), atNoise: 2 * Math.log(atNoise / image) }
}

/**
 * A schedule with its levels moved, the ends with them; `clipSchedule` of it keeps the ends instead.
 * @param shift added to logSNR: a number, or one for each end
 * @throws RangeError for a shift that is not finite, or with which levels would no longer fall
 */
export function shiftSchedule(schedule: Schedule, shift: number | LogSnrShift): SmoothSchedule {
  const { atData, atNoise } = typeof shift === 'number' ? { atData: shift, atNoise: shift } : shift
  if (!Number.isFinite(atData) || !Number.isFinite(atNoise))
    throw new RangeError(
      `shift: expected finite numbers, got ${describeValue(atData)} at data and ${describeValue(atNoise)} at noise`,
    )
  const drift = atNoise - atData
  const slope = (t: number): number => slopeOf(schedule, t) + drift
  // A shift that rises may undo the fall: looked for where it can be seen.
  if (drift > 0)
    for (let i = 0; i <= 256; i++)
      if (!(slope(i / 256) < 0))
        throw new RangeError(`shift: expected levels that fall, got a slope of ${slope(i / 256)} at t = ${i / 256}`)
  return smoothSchedule({
    logSnr: (t): LogSnr => schedule(t) + atData + drift * t,
    slope,
    ...(drift === 0 && { timeOf: (logSnr: LogSnr) => timeOf(schedule, logSnr - atData) }),
  })
}
