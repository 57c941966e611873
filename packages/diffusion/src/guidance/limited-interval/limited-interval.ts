import type { Guidance } from '../../denoiser.ts'
import { type LogSnr, logSnrOfEdmSigma } from '../../noise-level.ts'

/** The levels at which something is done: `from`, the noisier end, is one of them, `to` is not. */
export interface LevelInterval {
  readonly from: LogSnr
  readonly to: LogSnr
}

/**
 * The interval of levels with `low < sigma / alpha <= high`, as EDM counts noise.
 * @throws RangeError unless 0 <= low < high
 */
export function edmInterval(low: number, high: number): LevelInterval {
  if (!(low >= 0 && low < high)) throw new RangeError(`low: expected 0 <= low < high, got ${low} and ${high}`)
  return { from: logSnrOfEdmSigma(high), to: logSnrOfEdmSigma(low) }
}

/** @throws RangeError unless its levels rise */
export function requireInterval(interval: LevelInterval): void {
  if (!(interval.from < interval.to))
    throw new RangeError(`interval: expected from < to, got ${interval.from} and ${interval.to}`)
}

/** Whether a level is in an interval. */
export function isWithin({ from, to }: LevelInterval, logSnr: LogSnr): boolean {
  return logSnr >= from && logSnr < to
}

/**
 * Guides within an interval of levels only; elsewhere the denoiser is asked as it is.
 *
 * Guidance at high noise throws away variety, at low noise it changes little and costs as much (arXiv 2404.07724).
 * @throws RangeError unless the interval's levels rise
 */
export function limitedInterval<Condition = unknown>(
  guidance: Guidance<Condition>,
  interval: LevelInterval,
): Guidance<Condition> {
  requireInterval(interval)
  return (denoiser) => {
    const guided = guidance(denoiser)
    return (x, logSnr, condition) =>
      isWithin(interval, logSnr) ? guided(x, logSnr, condition) : denoiser(x, logSnr, condition)
  }
}
