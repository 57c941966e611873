import { requireInteger } from '../validation/validation.ts'

/** A number that changes over training, by the step counted from 0. */
export type Schedule = (step: number) => number

/** Where a decay starts, ends, and how many steps it takes. */
export interface DecayOptions {
  readonly from: number
  /** default 0 */
  readonly to?: number
  readonly steps: number
}

export interface StepDecayOptions {
  readonly from: number
  /** what the value is multiplied by, each time */
  readonly factor: number
  /** in steps */
  readonly every: number
}

/** The same value at every step. */
export function constant(value: number): Schedule {
  return () => value
}

/** Rises in a straight line to `peak`, reached by the last of `steps` steps, and stays there; no step gets 0. */
export function linearWarmup(peak: number, steps: number): Schedule {
  return warmupThen(steps, constant(peak))
}

/** Rises in a straight line over `steps` steps to where `schedule` starts, then follows it. */
export function warmupThen(steps: number, schedule: Schedule): Schedule {
  requireInteger('steps', steps, 0)
  return (step) => (step < steps ? (schedule(0) * (step + 1)) / steps : schedule(step - steps))
}

/** Falls along half a cosine and stays at `to` (arXiv 1608.03983, without restarts). */
export function cosineDecay(options: DecayOptions): Schedule {
  const { from, to = 0, steps } = options
  requireInteger('steps', steps, 1)
  return (step) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * Math.min(1, step / steps)))
}

/** Falls in a straight line and stays at `to`. */
export function linearDecay(options: DecayOptions): Schedule {
  const { from, to = 0, steps } = options
  requireInteger('steps', steps, 1)
  return (step) => from + (to - from) * Math.min(1, step / steps)
}

/** Is multiplied by `factor` after every `every` steps. */
export function stepDecay(options: StepDecayOptions): Schedule {
  const { from, factor, every } = options
  requireInteger('every', every, 1)
  return (step) => from * factor ** Math.floor(step / every)
}
