import { requireInteger } from '@x/core-gpu'
import type { Denoiser } from '../../denoiser.ts'
import { type HookedDenoiser, withHooks } from '../network-hooks.ts'

export interface SkipScalesOptions {
  /** of the deepest skip connection */
  readonly bottom: number
  /** of the one nearest to the output; default 1 */
  readonly top?: number
  /** how many skip connections there are */
  readonly levels: number
}

/**
 * Factors of a U-Net's skip connections, evenly from the deepest to the one nearest to the output (arXiv 2402.15170).
 * @returns one for each level; a single level has `bottom`
 * @throws RangeError for a factor that is not finite, or no levels
 */
export function skipScales({ bottom, top = 1, levels }: SkipScalesOptions): number[] {
  for (const [name, value] of Object.entries({ bottom, top }))
    if (!Number.isFinite(value)) throw new RangeError(`${name}: expected a finite number, got ${String(value)}`)
  requireInteger('levels', levels, 1)
  return Array.from({ length: levels }, (_, i) => (i === 0 ? bottom : bottom + (i * (top - bottom)) / (levels - 1)))
}

/**
 * Skip-tuning (arXiv 2402.15170): a network's skip connections weakened, or strengthened, while it samples.
 *
 * Skips carry detail; weaker ones help samplers of few steps, for those that draw noise the best may be above 1.
 * @param network takes `skipScales` among its hooks
 * @param scales as `skipScales` makes them
 * @throws RangeError for a scale that is not finite, or none
 */
export function skipTuning<Condition = unknown>(
  network: HookedDenoiser<Condition>,
  scales: readonly number[],
): Denoiser<Condition> {
  if (scales.length === 0) throw new RangeError('scales: expected at least one, got none')
  const bad = scales.findIndex((scale) => !Number.isFinite(scale))
  if (bad >= 0) throw new RangeError(`scales[${bad}]: expected a finite number, got ${String(scales[bad])}`)
  return withHooks(network, { skipScales: [...scales] })
}
