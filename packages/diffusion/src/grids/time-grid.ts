import { describeValue } from '@x/core-gpu'
import type { Grid } from '../grid.ts'
import type { Schedule } from '../schedule.ts'
import { requireTime } from '../schedules/smooth-schedule.ts'
import { gridAlong, type GridOptions } from './nodes.ts'

export interface TimeGridOptions extends GridOptions {
  /** where to begin; default 1, noise; less to begin from a sample with noise on it */
  readonly from?: number
  /** the lowest time; default 0 */
  readonly to?: number
}

/**
 * Levels at evenly spaced times of any schedule.
 * @param options final, default `'min'`: the level at time `to`
 * @throws RangeError for fewer than one step, times that are not 0 <= to < from <= 1, or a final level below the others
 */
export function timeGrid(schedule: Schedule, options: TimeGridOptions): Grid {
  const { steps, final = 'min', from = 1, to = 0 } = options
  requireTimes(from, to)
  return gridAlong((part) => schedule(part === 1 ? to : from + part * (to - from)), steps, final)
}

/** @throws RangeError unless 0 <= to < from <= 1 */
export function requireTimes(from: number, to: number): void {
  requireTime(from)
  if (!(to >= 0 && to < from))
    throw new RangeError(`to: expected a time from 0 to below ${from}, got ${describeValue(to)}`)
}
