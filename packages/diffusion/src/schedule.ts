import type { LogSnr } from './noise-level.ts'

/** The level of noise at time t in [0, 1], falling: 0 is clean, 1 is noise. Computed in double precision. */
export type Schedule = (t: number) => LogSnr

/** A schedule that knows its derivative and its inverse, as all of this package do. */
export interface SmoothSchedule extends Schedule {
  /** d logSnr / dt, below 0; -Infinity where the level is infinite */
  readonly slope: (t: number) => number
  /** the time of a level; 0 or 1 for levels beyond the ends */
  readonly timeOf: (logSnr: LogSnr) => number
}
