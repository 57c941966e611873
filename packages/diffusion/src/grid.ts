import type { LogSnr } from './noise-level.ts'

/** The n + 1 levels that n steps go through, strictly rising from noise; the last may be Infinity, clean. */
export type Grid = readonly LogSnr[]

/**
 * Checks a grid.
 * @throws RangeError when it has fewer than two levels, or one that does not rise above the one before
 */
export function requireGrid(grid: Grid): void {
  if (grid.length < 2) throw new RangeError(`grid: expected at least two levels, got ${grid.length}`)
  for (let i = 0; i < grid.length; i++) {
    const level = grid[i]!
    if (Number.isNaN(level) || (i > 0 && !(level > grid[i - 1]!)))
      throw new RangeError(
        `grid: expected rising levels of logSNR, got ${level} at ${i} after ${grid[i - 1] ?? 'nothing'}`,
      )
  }
}
