import { checked, type FinalLevel, withFinal } from '../grids/nodes.ts'
import type { Grid } from '../grid.ts'
import { spacedTimesteps, type SpacedTimestepsOptions } from './spaced-timesteps.ts'
import type { TimestepTable } from './timestep-table.ts'

export interface TimestepGridOptions extends SpacedTimestepsOptions {
  /**
   * Where the last step leads: `'zero'`, clean (diffusers: set_alpha_to_one, final_sigmas_type "zero"); `'min'`, the level of
   * timestep 0, if that is not where it starts; or a logSNR. Default `'zero'`.
   */
  readonly final?: FinalLevel
}

/**
 * The grid through chosen timesteps of a discrete model.
 * @returns steps + 1 levels; one less for `'min'` when the last timestep is 0 already
 * @throws RangeError as `spacedTimesteps` does, and for a final level below the others
 */
export function timestepGrid(table: TimestepTable, options: TimestepGridOptions): Grid {
  const { final = 'zero', ...spaced } = options
  return throughTimesteps(table, spacedTimesteps(table.timesteps, spaced), final)
}

/**
 * The grid through given timesteps of a discrete model.
 * @param timesteps falling, from T - 1 to 0
 * @throws RangeError for a timestep that is not in the table or does not fall, and for a final level below the others
 */
export function throughTimesteps(table: TimestepTable, timesteps: readonly number[], final: FinalLevel = 'zero'): Grid {
  const levels = timesteps.map((timestep) => table.levelOf(timestep))
  if (final !== 'min') return withFinal(levels, final)
  return levels.at(-1)! < table.levels[0]! ? withFinal(levels, table.levels[0]!) : checked(levels)
}
