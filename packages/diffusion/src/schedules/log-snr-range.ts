import { describeValue } from '@x/core-gpu'
import type { LogSnr } from '../noise-level.ts'

/** The levels between which a schedule runs. */
export interface LogSnrRange {
  /** at t = 1, noise */
  readonly logSnrMin?: LogSnr
  /** at t = 0, clean */
  readonly logSnrMax?: LogSnr
}

/** @throws RangeError unless logSnrMin < logSnrMax */
export function requireRange(logSnrMin: LogSnr, logSnrMax: LogSnr): void {
  if (!(logSnrMin < logSnrMax))
    throw new RangeError(
      `logSnrMin: expected a number below logSnrMax, got ${describeValue(logSnrMin)} and ${describeValue(logSnrMax)}`,
    )
}

/** @throws RangeError unless 0 < sigmaMin < sigmaMax, both finite */
export function requireSigmas(sigmaMin: number, sigmaMax: number): void {
  if (!(sigmaMin > 0)) throw new RangeError(`sigmaMin: expected a number > 0, got ${describeValue(sigmaMin)}`)
  if (!(sigmaMax > sigmaMin && sigmaMax < Infinity))
    throw new RangeError(
      `sigmaMax: expected a finite number above sigmaMin ${sigmaMin}, got ${describeValue(sigmaMax)}`,
    )
}

/** @throws RangeError unless the value is finite and above 0 */
export function requirePositive(name: string, value: number): void {
  if (!(value > 0 && value < Infinity))
    throw new RangeError(`${name}: expected a finite number > 0, got ${describeValue(value)}`)
}
