import { describeValue } from '@x/core-gpu'
import type { Grid } from '../grid.ts'
import { logSnrOfEdmSigma } from '../noise-level.ts'
import { checked } from './nodes.ts'

/**
 * A grid of given levels.
 * @param levels logSNR, rising; the last may be Infinity
 * @throws RangeError when there are fewer than two, or one does not rise above the one before
 */
export function customGrid(levels: Iterable<number>): Grid {
  return checked([...levels])
}

/**
 * A grid of given noise levels in EDM's sigma, as k-diffusion and diffusers write them.
 * @param sigmas falling; the last may be 0
 * @throws RangeError for a sigma below 0, fewer than two, or one that does not fall below the one before
 */
export function gridOfEdmSigmas(sigmas: Iterable<number>): Grid {
  const levels = Array.from(sigmas, (sigma, i) => {
    if (!(sigma >= 0)) throw new RangeError(`sigmas: expected numbers >= 0, got ${describeValue(sigma)} at ${i}`)
    return logSnrOfEdmSigma(sigma)
  })
  return checked(levels)
}

/**
 * The rest of a grid from a level on: to start from a sample that has noise up to that level.
 * @param strength 0 to 1: the share of the steps to take, rounded down, at least one
 * @throws RangeError for a strength that is not above 0 and at most 1
 */
export function lastSteps(grid: Grid, strength: number): Grid {
  if (!(strength > 0 && strength <= 1))
    throw new RangeError(`strength: expected a number above 0 and at most 1, got ${describeValue(strength)}`)
  const steps = Math.max(1, Math.floor((grid.length - 1) * strength))
  return checked(grid.slice(grid.length - 1 - steps))
}
