import { describeValue } from '@x/core-gpu'
import type { SmoothSchedule } from '../../schedule.ts'
import { requirePositive } from '../log-snr-range.ts'
import { smoothSchedule } from '../smooth-schedule.ts'

export interface SigmoidScheduleOptions {
  /** default -3 */
  readonly start?: number
  /** default 3 */
  readonly end?: number
  /** default 1; smaller is steeper in the middle */
  readonly temperature?: number
}

/**
 * alpha^2 falls along a piece of a sigmoid, from 1 at t = 0 to 0 at t = 1. arXiv 2212.11972
 * @throws RangeError unless start < end, both finite, and temperature > 0
 */
export function sigmoidSchedule(options: SigmoidScheduleOptions = {}): SmoothSchedule {
  const { start = -3, end = 3, temperature = 1 } = options
  if (!Number.isFinite(start)) throw new RangeError(`start: expected a finite number, got ${describeValue(start)}`)
  if (!(end > start && end < Infinity))
    throw new RangeError(`end: expected a finite number above start ${start}, got ${describeValue(end)}`)
  requirePositive('temperature', temperature)
  const [from, to] = [start / temperature, end / temperature]
  // sigmoid(a) - sigmoid(b) is sinh((a - b) / 2) / (2 cosh(a / 2) cosh(b / 2)): nothing cancels.
  const offset = logCosh(from / 2) - logCosh(to / 2)
  const at = (t: number): number => from + t * (to - from)
  return smoothSchedule({
    logSnr: (t) => offset + logSinh((to - from) * (1 - t) * 0.5) - logSinh((to - from) * t * 0.5),
    slope: (t) => (-(to - from) / 2) * (1 / Math.tanh((to - at(t)) / 2) + 1 / Math.tanh((at(t) - from) / 2)),
    timeOf: (logSnr) => {
      const value = sigmoid(-logSnr) * sigmoid(to) + sigmoid(logSnr) * sigmoid(from)
      const rest = sigmoid(-logSnr) * sigmoid(-to) + sigmoid(logSnr) * sigmoid(-from)
      return (Math.log(value / rest) - from) / (to - from)
    },
  })
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x))
}

function logCosh(x: number): number {
  return Math.abs(x) + Math.log1p(Math.exp(-2 * Math.abs(x))) - Math.LN2
}

/** of a number >= 0 */
function logSinh(x: number): number {
  return x + Math.log(-Math.expm1(-2 * x)) - Math.LN2
}
