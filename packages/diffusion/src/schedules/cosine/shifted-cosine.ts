import { describeValue } from '@x/core-gpu'
import type { SmoothSchedule } from '../../schedule.ts'
import { clipSchedule } from '../clip-schedule.ts'
import type { LogSnrRange } from '../log-snr-range.ts'
import { type LogSnrShift, shiftSchedule } from '../shift-schedule.ts'
import { cosineSchedule } from './cosine.ts'

export interface ShiftedCosineScheduleOptions extends LogSnrRange {
  /** added to logSNR, see `resolutionShift` and `interpolatedShift` */
  readonly shift: number | LogSnrShift
  /**
   * Whether the range is that of the cosine and moves with the shift, as in the paper, or that of the result, as in
   * k-diffusion; default `'preShift'`
   */
  readonly clip?: 'preShift' | 'postShift'
}

/**
 * Simple diffusion's schedule for large images: the cosine, shifted. arXiv 2301.11093
 * @param options range, default -15 to 15
 * @throws RangeError for a range or shift that will not do, or a clip of another name
 */
export function shiftedCosineSchedule(options: ShiftedCosineScheduleOptions): SmoothSchedule {
  const { shift, clip = 'preShift', logSnrMin = -15, logSnrMax = 15 } = options
  if (clip === 'preShift') return shiftSchedule(cosineSchedule({ logSnrMin, logSnrMax }), shift)
  if (clip !== 'postShift') throw new RangeError(`clip: expected "preShift" or "postShift", got ${describeValue(clip)}`)
  const whole = cosineSchedule({ logSnrMin: -Infinity, logSnrMax: Infinity })
  return clipSchedule(shiftSchedule(whole, shift), { logSnrMin, logSnrMax })
}
