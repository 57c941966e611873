import type { Grid } from '../grid.ts'
import { linearLogSnrSchedule } from '../schedules/linear-log-snr/linear-log-snr.ts'
import type { LogSnrRange } from '../schedules/log-snr-range.ts'
import type { GridOptions } from './nodes.ts'
import { timeGrid } from './time-grid.ts'

/**
 * Evenly spaced levels, as DPM-Solver's paper takes them (arXiv 2206.00927); in EDM's sigma the exponential grid.
 * @param options range, and final, default `'zero'`
 * @throws RangeError unless logSnrMin < logSnrMax, both finite; for fewer than one step, or a final level below the others
 */
export function logSnrGrid(options: GridOptions & Required<LogSnrRange>): Grid {
  const { steps, final = 'zero' } = options
  return timeGrid(linearLogSnrSchedule(options), { steps, final })
}
