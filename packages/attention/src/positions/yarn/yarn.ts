import { describeValue, requireInteger } from '@x/core-gpu'
import { requireFactor } from '../linear/linear.ts'
import type { FrequencyContext, FrequencyScaling } from '../rope/rope.ts'

export interface YarnOptions {
  /** how many times longer sequences become, at least 1 */
  readonly factor: number
  /** length of the training's sequences */
  readonly originalLength: number
  /** pairs that turn more often than this over the original length keep their frequency; default 32 */
  readonly betaFast?: number
  /** pairs that turn less often than this are slowed by the whole factor; default 1 */
  readonly betaSlow?: number
  /** whether the bounds of the ramp are rounded outwards to whole pairs; default true */
  readonly truncate?: boolean
  /** strength of the score's growth, 0.1 mscale ln(factor) + 1; default 1 */
  readonly mscale?: number
  /**
   * Where that growth goes: into what turns, once for queries and once for keys (default), or squared into the scale of
   * all scores, as DeepSeek has it. The same where all dimensions turn.
   */
  readonly growth?: 'tables' | 'scores'
}

/**
 * YaRN: fast pairs stay, slow ones are interpolated, a ramp between; scores grow a little. arXiv 2309.00071
 * @throws RangeError naming the option that is out of range
 */
export function yarn(options: YarnOptions): FrequencyScaling {
  const {
    factor,
    originalLength,
    betaFast = 32,
    betaSlow = 1,
    truncate = true,
    mscale = 1,
    growth = 'tables',
  } = options
  requireFactor(factor)
  requireInteger('originalLength', originalLength, 1)
  if (!(betaSlow > 0)) throw new RangeError(`betaSlow: expected a number > 0, got ${describeValue(betaSlow)}`)
  if (!(betaFast >= betaSlow))
    throw new RangeError(`betaFast: expected at least betaSlow ${betaSlow}, got ${describeValue(betaFast)}`)
  if (!(mscale >= 0)) throw new RangeError(`mscale: expected a number >= 0, got ${describeValue(mscale)}`)
  if (growth !== 'tables' && growth !== 'scores')
    throw new RangeError(`growth: expected tables or scores, got ${describeValue(growth)}`)
  const magnitude = yarnMagnitude(factor, mscale)
  return {
    frequencies: (context) => {
      const [low, high] = yarnRamp(context, originalLength, betaFast, betaSlow, truncate)
      return context.frequencies.map((frequency, i) => {
        const share = Math.min(1, Math.max(0, (i - low) / (high - low)))
        return (frequency / factor) * share + frequency * (1 - share)
      })
    },
    ...(growth === 'tables' ? { magnitude } : { scoreScale: magnitude ** 2 }),
  }
}

/** 0.1 mscale ln(factor) + 1, the growth of queries and of keys. */
export function yarnMagnitude(factor: number, mscale = 1): number {
  return 0.1 * mscale * Math.log(factor) + 1
}

/** Between which pairs the ramp lies; bounds that are equal are set apart. */
export function yarnRamp(
  { dims, theta }: Pick<FrequencyContext, 'dims' | 'theta'>,
  originalLength: number,
  betaFast = 32,
  betaSlow = 1,
  truncate = true,
): [low: number, high: number] {
  // The pair that turns this often over the original length.
  const pairAt = (turns: number): number =>
    (dims * Math.log(originalLength / (2 * Math.PI * turns))) / (2 * Math.log(theta))
  const [first, last] = [pairAt(betaFast), pairAt(betaSlow)]
  const low = Math.max(0, truncate ? Math.floor(first) : first)
  const high = Math.min(dims - 1, truncate ? Math.ceil(last) : last)
  return [low, high === low ? high + 0.001 : high]
}
