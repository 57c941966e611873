import { describeValue, requireInteger } from '@x/core-gpu'
import { type Grid, requireGrid } from '../grid.ts'
import type { LogSnr } from '../noise-level.ts'

/**
 * Where a grid ends: `'zero'`, the last step leads from the lowest noise to clean; `'min'`, the lowest noise is where it ends;
 * or the level in logSNR that the last step leads to.
 */
export type FinalLevel = 'zero' | 'min' | LogSnr

/** How many steps, and where the last leads. */
export interface GridOptions {
  /** n; the grid has n + 1 levels */
  readonly steps: number
  readonly final?: FinalLevel
}

/**
 * A grid from levels along [0, 1]: n + 1 of them, or n and then the final one.
 * @param at the level at 0, the noisiest, to 1
 * @throws RangeError for fewer than one step, or a final level that does not lie above the others
 */
export function gridAlong(at: (part: number) => LogSnr, steps: number, final: FinalLevel): Grid {
  requireInteger('steps', steps, 1)
  // What is clean already needs no step there.
  if (final === 'min' || (final === 'zero' && at(1) === Infinity)) return checked(spaced(at, steps + 1))
  return withFinal(spaced(at, steps), final)
}

/**
 * Levels with the final one behind them.
 * @throws RangeError for a level that is no number, or not above the others
 */
export function withFinal(levels: Grid, final: LogSnr | 'zero'): Grid {
  const level = final === 'zero' ? Infinity : final
  const last = levels.at(-1)!
  if (!(typeof level === 'number' && level > last))
    throw new RangeError(`final: expected "zero", "min" or a logSNR above ${last}, got ${describeValue(final)}`)
  return checked([...levels, level])
}

/** The grid, frozen, if it is one. */
export function checked(levels: LogSnr[]): Grid {
  requireGrid(levels)
  return Object.freeze(levels)
}

/** One level alone is the noisiest. */
function spaced(at: (part: number) => LogSnr, n: number): LogSnr[] {
  return Array.from({ length: n }, (_, i) => at(n === 1 ? 0 : i / (n - 1)))
}
