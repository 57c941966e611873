import { describeValue, type Key, requireInteger } from '@x/core-gpu'

/**
 * How times are drawn for a batch, evenly spread over (0, 1) all of them: `'uniform'`, each for itself, the same in any batch;
 * `'stratified'`, one in each of B equal parts; `'lowDiscrepancy'`, B evenly spaced ones moved together (arXiv 2107.00630).
 * Other distributions are schedules: `logNormalSchedule`, `logitNormalTimes`.
 */
export type TrainingTimes = 'uniform' | 'stratified' | 'lowDiscrepancy'

/**
 * Draws a time for each sample of a batch.
 * @returns B numbers between 0 and 1, neither of which comes
 * @throws RangeError for a name not listed
 */
export function trainingTimes(key: Key, batch: number, times: TrainingTimes = 'stratified'): Float64Array {
  requireInteger('batch', batch, 0)
  switch (times) {
    case 'uniform':
      return Float64Array.from({ length: batch }, (_, i) => uniform(key.fold(i)))
    case 'stratified':
      return Float64Array.from({ length: batch }, (_, i) => inside((i + uniform(key.fold(i))) / batch))
    case 'lowDiscrepancy': {
      const start = uniform(key)
      return Float64Array.from({ length: batch }, (_, i) => inside((start + i / batch) % 1))
    }
    default:
      throw new RangeError(`times: expected "uniform", "stratified" or "lowDiscrepancy", got ${describeValue(times)}`)
  }
}

/** One of 2^52 numbers inside (0, 1), in the middle of their intervals. */
function uniform(key: Key): number {
  const [high, low] = key.bits(2) as unknown as [number, number]
  return (high * 2 ** 20 + (low >>> 12) + 0.5) * 2 ** -52
}

/** A sum may be rounded to an end. */
function inside(t: number): number {
  return Math.min(1 - 2 ** -53, Math.max(2 ** -53, t))
}
