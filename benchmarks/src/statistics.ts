/** The arithmetic mean. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The sample standard deviation (n - 1); 0 for a single value. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1))
}

/** The quantile at `fraction`, linear between neighbours. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = fraction * (sorted.length - 1)
  const low = sorted[Math.floor(place)] ?? Number.NaN
  const high = sorted[Math.ceil(place)] ?? Number.NaN
  return low + (high - low) * (place - Math.floor(place))
}

/** The middle value. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Uniform numbers in [0, 1), the same for the same seed (splitmix32). */
export function uniformNumbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}

export interface BootstrapOptions {
  /** what the interval is of; the median by default */
  readonly statistic?: (values: readonly number[]) => number
  /** how sure it is, 0.95 by default */
  readonly level?: number
  /** how many samples are drawn again, 2000 by default */
  readonly resamples?: number
  readonly seed?: number
}

export interface Interval {
  readonly low: number
  readonly high: number
}

/**
 * Percentile bootstrap interval of a statistic, the same for the same samples.
 * @throws RangeError when there are no samples
 */
export function bootstrapInterval(values: readonly number[], options: BootstrapOptions = {}): Interval {
  const { statistic = median, level = 0.95, resamples = 2000, seed = 0 } = options
  if (values.length === 0) throw new RangeError('values: expected at least one sample, got none')
  const uniform = uniformNumbers(seed)
  const statistics = Array.from({ length: resamples }, () =>
    statistic(values.map(() => values[Math.floor(uniform() * values.length)] ?? Number.NaN)),
  )
  return { low: quantile(statistics, (1 - level) / 2), high: quantile(statistics, (1 + level) / 2) }
}
