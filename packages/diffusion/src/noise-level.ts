import { describeValue } from '@x/core-gpu'

/**
 * A level of noise is its logSNR, lambda = ln(alpha^2 / sigma^2): Infinity is clean, -Infinity is noise alone.
 *
 * Everything in this package is variance preserving: x = alpha x0 + sigma eps with alpha^2 + sigma^2 = 1, so that x stays
 * finite and of one size at every level. Other coordinates are a change of scale: EDM's x is x / alpha.
 */
export type LogSnr = number

/** alpha = sqrt(sigmoid(logSnr)): how much of the clean sample is left. */
export function alphaOf(logSnr: LogSnr): number {
  return Math.sqrt(1 / (1 + Math.exp(-logSnr)))
}

/** sigma = sqrt(sigmoid(-logSnr)): the standard deviation of the noise, where alpha^2 + sigma^2 = 1. */
export function sigmaOf(logSnr: LogSnr): number {
  return Math.sqrt(1 / (1 + Math.exp(logSnr)))
}

/** sigma / alpha = exp(-logSnr / 2): the standard deviation of the noise where the clean sample keeps its size (EDM, k-diffusion). */
export function edmSigmaOf(logSnr: LogSnr): number {
  return Math.exp(-logSnr / 2)
}

/** The level at which sigma / alpha is `edmSigma`, 0 for clean. */
export function logSnrOfEdmSigma(edmSigma: number): LogSnr {
  return -2 * Math.log(edmSigma)
}

/** @throws RangeError for NaN */
export function requireLogSnr(logSnr: LogSnr): void {
  if (typeof logSnr !== 'number' || Number.isNaN(logSnr))
    throw new RangeError(`logSnr: expected a number, got ${describeValue(logSnr)}`)
}
