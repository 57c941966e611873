import { logSnrOfEdmSigma } from '../../noise-level.ts'
import type { SmoothSchedule } from '../../schedule.ts'
import { linearLogSnrSchedule } from '../linear-log-snr/linear-log-snr.ts'
import { requireSigmas } from '../log-snr-range.ts'

export interface VeScheduleOptions {
  /** default 0.01 */
  readonly sigmaMin?: number
  /** default 50 */
  readonly sigmaMax?: number
}

/**
 * The variance-exploding schedule, geometric in EDM's sigma: `sigma = sigmaMin (sigmaMax / sigmaMin)^t`. arXiv 2011.13456
 * @throws RangeError unless 0 < sigmaMin < sigmaMax
 */
export function veSchedule(options: VeScheduleOptions = {}): SmoothSchedule {
  const { sigmaMin = 0.01, sigmaMax = 50 } = options
  requireSigmas(sigmaMin, sigmaMax)
  return linearLogSnrSchedule({ logSnrMin: logSnrOfEdmSigma(sigmaMax), logSnrMax: logSnrOfEdmSigma(sigmaMin) })
}
