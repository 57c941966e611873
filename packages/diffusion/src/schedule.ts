import type { LogSnr } from './noise-level.ts'

/** The level of noise at time t in [0, 1], falling: 0 is clean, 1 is noise. Computed in double precision. */
export type Schedule = (t: number) => LogSnr
