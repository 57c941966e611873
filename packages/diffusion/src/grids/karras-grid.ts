import type { Grid } from '../grid.ts'
import { karrasSchedule, type KarrasScheduleOptions } from '../schedules/karras/karras.ts'
import type { GridOptions } from './nodes.ts'
import { timeGrid } from './time-grid.ts'

/**
 * EDM's grid: the rho-th root of sigma is evenly spaced. arXiv 2206.00364
 * @param options sigmaMin 0.002, sigmaMax 80, rho 7, final `'zero'` by default
 * @throws RangeError unless 0 < sigmaMin < sigmaMax and rho > 0; for fewer than one step, or a final level below the others
 */
export function karrasGrid(options: GridOptions & KarrasScheduleOptions): Grid {
  const { steps, final = 'zero' } = options
  return timeGrid(karrasSchedule(options), { steps, final })
}
