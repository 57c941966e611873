import { describeValue } from '@x/core-gpu'
import type { LogSnr } from '../../noise-level.ts'
import type { SmoothSchedule } from '../../schedule.ts'
import { smoothSchedule } from '../smooth-schedule.ts'

export interface VpScheduleOptions {
  /** the rate of noise at t = 0, T times a discrete model's first beta; default 0.1 */
  readonly betaMin?: number
  /** the rate at t = 1, T times the last beta; default 20 */
  readonly betaMax?: number
}

/**
 * The variance-preserving schedule with a linear rate of noise: `alpha^2 = exp(-B)`, `B = betaMin t + (betaMax - betaMin) t^2 / 2`.
 *
 * What DDPM's linear betas become in continuous time. arXiv 2011.13456
 * @throws RangeError unless 0 <= betaMin <= betaMax, the latter > 0 and finite
 */
export function vpSchedule(options: VpScheduleOptions = {}): SmoothSchedule {
  const { betaMin = 0.1, betaMax = 20 } = options
  requireBetas(betaMin, betaMax)
  const growth = betaMax - betaMin
  return fromIntegral({
    integral: (t) => t * (betaMin + (growth * t) / 2),
    rate: (t) => betaMin + growth * t,
    timeOf: (B) => (2 * B) / (betaMin + Math.sqrt(betaMin * betaMin + 2 * growth * B)),
  })
}

/**
 * The variance-preserving schedule with a rate of noise whose root is linear: what `scaledLinearBetas` become in continuous time.
 * @param options default betaMin 0.85, betaMax 12: Stable Diffusion's
 * @throws RangeError unless 0 <= betaMin <= betaMax, the latter > 0 and finite
 */
export function scaledLinearSchedule(options: VpScheduleOptions = {}): SmoothSchedule {
  const { betaMin = 0.85, betaMax = 12 } = options
  requireBetas(betaMin, betaMax)
  const root = Math.sqrt(betaMin)
  const growth = Math.sqrt(betaMax) - root
  if (growth === 0) return vpSchedule({ betaMin, betaMax })
  return fromIntegral({
    integral: (t) => t * (betaMin + growth * t * (root + (growth * t) / 3)),
    rate: (t) => (root + growth * t) ** 2,
    timeOf: (B) => (Math.cbrt(3 * growth * B + root ** 3) - root) / growth,
  })
}

interface Rate {
  /** of the rate from 0 to t */
  readonly integral: (t: number) => number
  readonly rate: (t: number) => number
  /** inverse of the integral */
  readonly timeOf: (integral: number) => number
}

/** alpha^2 = exp(-B), so that SNR = 1 / (exp(B) - 1). */
function fromIntegral({ integral, rate, timeOf }: Rate): SmoothSchedule {
  return smoothSchedule({
    logSnr: (t) => -Math.log(Math.expm1(integral(t))),
    slope: (t) => rate(t) / Math.expm1(-integral(t)),
    timeOf: (logSnr) => timeOf(softplus(-logSnr)),
  })
}

/** ln(1 + e^x) */
function softplus(x: LogSnr): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
}

function requireBetas(betaMin: number, betaMax: number): void {
  if (!(betaMin >= 0)) throw new RangeError(`betaMin: expected a number >= 0, got ${describeValue(betaMin)}`)
  // exp(B) - 1 must be finite.
  if (!(betaMax > 0 && betaMax >= betaMin && betaMax <= 700))
    throw new RangeError(
      `betaMax: expected a number from betaMin ${betaMin} to 700, above 0, got ${describeValue(betaMax)}`,
    )
}
