import type { SmoothSchedule } from '../../schedule.ts'
import { requirePositive } from '../log-snr-range.ts'
import { smoothSchedule } from '../smooth-schedule.ts'

export interface FlowScheduleOptions {
  /** moves times towards noise: s = shift t / (1 + (shift - 1) t); default 1 */
  readonly shift?: number
}

/**
 * The straight path of flow matching, `x_s = (1 - s) x0 + s eps`: `logSnr = 2 ln((1 - t) / (shift t))`.
 *
 * arXiv 2209.03003; the shift is that of arXiv 2403.03206, and moves logSNR by -2 ln shift.
 * @throws RangeError unless shift > 0
 */
export function flowSchedule(options: FlowScheduleOptions = {}): SmoothSchedule {
  const { shift = 1 } = options
  requirePositive('shift', shift)
  return smoothSchedule({
    logSnr: (t) => 2 * (Math.log1p(-t) - Math.log(t) - Math.log(shift)),
    slope: (t) => -2 / (t * (1 - t)),
    timeOf: (logSnr) => 1 / (1 + shift * Math.exp(logSnr / 2)),
  })
}
