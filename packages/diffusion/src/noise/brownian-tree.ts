import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import type { LogSnr } from '../noise-level.ts'

/** The tree's root reaches from -reach to reach of logSNR. */
const reach = 64

/** Halvings down to an interval of 7.6e-6, within which the motion is taken to be straight. */
const depth = 24

/** A draw of the tree: the number `place` of those on one floor, and what it counts for. */
export interface Branch {
  readonly floor: number
  readonly place: number
  readonly weight: number
}

/**
 * Standard normal noise that a Brownian motion makes between two levels, whatever grid they belong to.
 *
 * The motion's clock is the signal-to-noise ratio: what the steps of a finer grid add up to is then exactly the noise of the
 * coarser step, for a reverse diffusion whose clean sample stays as predicted. Nothing is stored; each value is found by
 * halving intervals of logSNR, with about 40 draws.
 * @param keys one for each sample
 * @param shape of a sample
 * @returns `[B, ...shape]`
 * @throws RangeError for levels that are not within -64 to 64, but for a first of -Infinity
 */
export function brownianNoise(keys: readonly Key[], shape: readonly number[], from: LogSnr, to: LogSnr): tf.Tensor {
  const branches = brownianBranches(from, to)
  return tf.tidy(() =>
    tf.stack(
      keys.map((key) =>
        tf.tidy(() =>
          branches
            .map(({ floor, place, weight }) =>
              tf.mul(
                key
                  .fold(floor)
                  .fold(place)
                  .normal([...shape]),
                weight,
              ),
            )
            .reduce((sum, term) => tf.add(sum, term)),
        ),
      ),
    ),
  )
}

/** The draws of which the noise between two levels is the sum. */
export function brownianBranches(from: LogSnr, to: LogSnr): Branch[] {
  const start = from === -Infinity ? -reach : from
  if (!(start >= -reach && to > start && to <= reach))
    throw new RangeError(`grid: expected levels from -${reach} to ${reach} for Brownian noise, got ${from} to ${to}`)
  const weights = new Map<string, Branch>()
  const scale = 1 / Math.sqrt(Math.exp(start) * Math.expm1(to - start))
  for (const [level, sign] of [
    [to, scale],
    [start, -scale],
  ] as const)
    for (const { floor, place, weight } of valueAt(level)) {
      const name = `${floor}/${place}`
      weights.set(name, { floor, place, weight: (weights.get(name)?.weight ?? 0) + sign * weight })
    }
  // What float32 would not show.
  return [...weights.values()].filter(({ weight }) => Math.abs(weight) > 1e-7)
}

/** The motion's value at a level, as a sum of draws. */
function valueAt(level: LogSnr): Branch[] {
  const path: { low: number; high: number; floor: number; place: number; right: boolean }[] = []
  let [low, high, place] = [-reach, reach, 0]
  for (let floor = 1; floor <= depth && level > low && level < high; floor++) {
    const middle = (low + high) / 2
    const right = level >= middle
    path.push({ low, high, floor, place, right })
    if (right) low = middle
    else high = middle
    place = 2 * place + (right ? 1 : 0)
  }
  const branches: Branch[] = []
  // Between the ends of the last interval; then every end in terms of the interval above.
  let ofHigh = level <= low ? 0 : partOf(low, level, high)
  let ofLow = 1 - ofHigh
  for (const { low, high, floor, place, right } of path.toReversed()) {
    const middle = (low + high) / 2
    const part = partOf(low, middle, high)
    const ofMiddle = right ? ofLow : ofHigh
    const deviation = Math.sqrt(Math.exp(low) * Math.expm1(middle - low) * (1 - part))
    branches.push({ floor, place, weight: ofMiddle * deviation })
    if (right) [ofLow, ofHigh] = [ofMiddle * (1 - part), ofHigh + ofMiddle * part]
    else [ofLow, ofHigh] = [ofLow + ofMiddle * (1 - part), ofMiddle * part]
  }
  // It begins at 0.
  branches.push({ floor: 0, place: 0, weight: ofHigh * Math.exp(reach / 2) })
  return branches
}

/** How far between two levels a third is, by the signal-to-noise ratio. */
function partOf(low: LogSnr, level: LogSnr, high: LogSnr): number {
  return Math.expm1(level - low) / Math.expm1(high - low)
}
