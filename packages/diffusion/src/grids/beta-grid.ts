import type { Grid } from '../grid.ts'
import type { Schedule } from '../schedule.ts'
import { requirePositive } from '../schedules/log-snr-range.ts'
import { betaQuantile } from './beta-quantile.ts'
import { gridAlong } from './nodes.ts'
import { requireTimes, type TimeGridOptions } from './time-grid.ts'

export interface BetaGridOptions extends TimeGridOptions {
  /** default 0.6; smaller puts more steps near clean */
  readonly alpha?: number
  /** default 0.6; smaller puts more steps near noise */
  readonly beta?: number
}

/**
 * Levels at times spaced like the quantiles of a beta distribution, dense at both ends. arXiv 2407.12173
 * @param options final, default `'min'`: the level at time `to`
 * @throws RangeError for alpha or beta not > 0, fewer than one step, times that are not 0 <= to < from <= 1, or a final
 * level below the others
 */
export function betaGrid(schedule: Schedule, options: BetaGridOptions): Grid {
  const { steps, final = 'min', from = 1, to = 0, alpha = 0.6, beta = 0.6 } = options
  requireTimes(from, to)
  requirePositive('alpha', alpha)
  requirePositive('beta', beta)
  return gridAlong((part) => schedule(to + (from - to) * betaQuantile(1 - part, alpha, beta)), steps, final)
}
