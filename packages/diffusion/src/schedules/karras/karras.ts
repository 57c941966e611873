import { logSnrOfEdmSigma } from '../../noise-level.ts'
import type { SmoothSchedule } from '../../schedule.ts'
import { requirePositive, requireSigmas } from '../log-snr-range.ts'
import { smoothSchedule } from '../smooth-schedule.ts'

export interface KarrasScheduleOptions {
  /** EDM's sigma at t = 0; default 0.002 */
  readonly sigmaMin?: number
  /** EDM's sigma at t = 1; default 80 */
  readonly sigmaMax?: number
  /** default 7; larger puts more of the time near clean */
  readonly rho?: number
}

/**
 * EDM's schedule: the rho-th root of sigma is linear in time. arXiv 2206.00364
 * @throws RangeError unless 0 < sigmaMin < sigmaMax and rho > 0
 */
export function karrasSchedule(options: KarrasScheduleOptions = {}): SmoothSchedule {
  const { sigmaMin = 0.002, sigmaMax = 80, rho = 7 } = options
  requireSigmas(sigmaMin, sigmaMax)
  requirePositive('rho', rho)
  const [low, high] = [sigmaMin ** (1 / rho), sigmaMax ** (1 / rho)]
  const [clean, noise] = [logSnrOfEdmSigma(sigmaMin), logSnrOfEdmSigma(sigmaMax)]
  return smoothSchedule({
    logSnr: (t) => (t === 0 ? clean : t === 1 ? noise : -2 * rho * Math.log(low + t * (high - low))),
    slope: (t) => (-2 * rho * (high - low)) / (low + t * (high - low)),
    timeOf: (logSnr) => (Math.exp(-logSnr / (2 * rho)) - low) / (high - low),
  })
}
