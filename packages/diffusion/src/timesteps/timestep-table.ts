import { describeValue } from '@x/core-gpu'
import { edmSigmaOf, type LogSnr, logSnrOfEdmSigma, requireLogSnr } from '../noise-level.ts'
import type { SmoothSchedule } from '../schedule.ts'
import { smoothSchedule } from '../schedules/smooth-schedule.ts'
import { alphaBars } from './betas.ts'

export interface TimestepTableOptions {
  /**
   * What is linear between two timesteps: `'logSnr'`, as k-diffusion finds the time of a level; or EDM's `'sigma'`, as
   * diffusers finds the level of a fractional timestep. Default `'logSnr'`.
   */
  readonly interpolation?: 'logSnr' | 'sigma'
}

/** The levels of a model trained at timesteps 0, ..., T - 1, and the way from one to the other. */
export interface TimestepTable {
  /** T */
  readonly timesteps: number
  /** falling, `[T]`; the last is -Infinity for a zero terminal SNR */
  readonly levels: readonly LogSnr[]
  /** the level of a timestep from 0 to T - 1, which may be fractional */
  readonly levelOf: (timestep: number) => LogSnr
  /** the timestep of a level, fractional; the first or last for levels beyond the ends */
  readonly timestepOf: (logSnr: LogSnr) => number
  /** time t in [0, 1] is timestep t (T - 1) */
  readonly schedule: SmoothSchedule
}

/**
 * The table of an existing model.
 * @param betas T numbers, see `linearBetas`, `scaledLinearBetas`, `cosineBetas`, `zeroTerminalSnr`
 * @throws RangeError for fewer than two betas, or one that is not above 0 and at most 1
 */
export function timestepTable(betas: ArrayLike<number>, options: TimestepTableOptions = {}): TimestepTable {
  const { interpolation = 'logSnr' } = options
  if (interpolation !== 'logSnr' && interpolation !== 'sigma')
    throw new RangeError(`interpolation: expected "logSnr" or "sigma", got ${describeValue(interpolation)}`)
  const bars = alphaBars(betas)
  const last = bars.length - 1
  if (last < 1) throw new RangeError(`betas: expected at least 2, got ${bars.length}`)
  // A rescaled table ends at 0 up to rounding.
  const levels = Array.from(bars, (bar) => (bar < 1e-30 ? -Infinity : Math.log(bar) - Math.log1p(-bar)))
  const fall = levels.findIndex((level, i) => i > 0 && !(level < levels[i - 1]!))
  if (fall >= 0) throw new RangeError(`betas: expected levels that fall, got ${levels[fall]} at timestep ${fall}`)

  const between = (to: LogSnr): Interpolation =>
    to === -Infinity ? toNoise : interpolation === 'sigma' ? linearSigma : linearLogSnr
  const levelOf = (timestep: number): LogSnr => {
    if (!(timestep >= 0 && timestep <= last))
      throw new RangeError(`timestep: expected a number from 0 to ${last}, got ${describeValue(timestep)}`)
    const below = Math.min(last - 1, Math.floor(timestep))
    const to = levels[below + 1]!
    return between(to).level(levels[below]!, to, timestep - below)
  }
  const timestepOf = (logSnr: LogSnr): number => {
    requireLogSnr(logSnr)
    if (logSnr >= levels[0]!) return 0
    if (logSnr <= levels[last]!) return last
    let [low, high] = [0, last]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (levels[middle]! > logSnr) low = middle
      else high = middle
    }
    return low + between(levels[high]!).part(levels[low]!, levels[high]!, logSnr)
  }
  return {
    timesteps: bars.length,
    levels,
    levelOf,
    timestepOf,
    schedule: smoothSchedule({
      logSnr: (t) => levelOf(t * last),
      slope: (t) => {
        const below = Math.min(last - 1, Math.floor(t * last))
        const to = levels[below + 1]!
        return last * between(to).slope(levels[below]!, to, t * last - below)
      },
      timeOf: (logSnr) => timestepOf(logSnr) / last,
    }),
  }
}

interface Interpolation {
  /** a part of the way from one level to the next */
  readonly level: (from: LogSnr, to: LogSnr, part: number) => LogSnr
  /** the inverse: how much of the way */
  readonly part: (from: LogSnr, to: LogSnr, logSnr: LogSnr) => number
  /** d level / d part */
  readonly slope: (from: LogSnr, to: LogSnr, part: number) => number
}

/** From 1 / sigma down to 0: the way to noise alone, which no other interpolation reaches. */
const toNoise: Interpolation = {
  level: (from, _, part) => from + 2 * Math.log1p(-part),
  part: (from, _, logSnr) => -Math.expm1((logSnr - from) / 2),
  slope: (_from, _to, part) => -2 / (1 - part),
}

const linearLogSnr: Interpolation = {
  level: (from, to, part) => (part === 1 ? to : from + part * (to - from)),
  part: (from, to, logSnr) => (logSnr - from) / (to - from),
  slope: (from, to) => to - from,
}

const linearSigma: Interpolation = {
  level: (from, to, part) => {
    if (part === 0 || part === 1) return part === 0 ? from : to
    const [a, b] = [edmSigmaOf(from), edmSigmaOf(to)]
    return logSnrOfEdmSigma(a + part * (b - a))
  },
  part: (from, to, logSnr) => {
    const [a, b] = [edmSigmaOf(from), edmSigmaOf(to)]
    return (edmSigmaOf(logSnr) - a) / (b - a)
  },
  slope: (from, to, part) => {
    const [a, b] = [edmSigmaOf(from), edmSigmaOf(to)]
    return (-2 * (b - a)) / (a + part * (b - a))
  },
}
