import { describeValue, requireInteger } from '@x/core-gpu'

/**
 * How n of T timesteps are chosen: every (T / n)-th from 0 (`'leading'`), evenly from the first to the last (`'linspace'`),
 * or every (T / n)-th back from the last (`'trailing'`, for zero terminal SNR; arXiv 2305.08891).
 */
export type TimestepSpacing = 'leading' | 'linspace' | 'trailing'

export interface SpacedTimestepsOptions {
  /** n */
  readonly steps: number
  /** default `'trailing'` */
  readonly spacing?: TimestepSpacing
  /** added to leading timesteps; Stable Diffusion's is 1; default 0 */
  readonly stepsOffset?: number
  /**
   * Of which family of diffusers' schedulers: `'ddim'` (DDIM, DDPM, PNDM) rounds; `'euler'` (Euler, Heun, LMS, KDPM2) leaves
   * linspace fractional; `'dpm'` (DPM-Solver, UniPC, DEIS) takes n + 1 of leading and linspace and leaves out the last.
   * Default `'ddim'`.
   */
  readonly family?: 'ddim' | 'euler' | 'dpm'
}

/**
 * Chooses timesteps as diffusers' schedulers do.
 * @param timesteps T
 * @returns n timesteps, falling
 * @throws RangeError for other than 1 to T steps, an offset with which they leave the table, or names not listed
 */
export function spacedTimesteps(timesteps: number, options: SpacedTimestepsOptions): number[] {
  const { steps, spacing = 'trailing', stepsOffset = 0, family = 'ddim' } = options
  requireInteger('timesteps', timesteps, 1)
  requireInteger('steps', steps, 1)
  if (steps > timesteps) throw new RangeError(`steps: expected at most ${timesteps} timesteps, got ${steps}`)
  requireInteger('stepsOffset', stepsOffset, 0)
  if (!['ddim', 'euler', 'dpm'].includes(family))
    throw new RangeError(`family: expected "ddim", "euler" or "dpm", got ${describeValue(family)}`)
  const chosen = choose(timesteps, steps, spacing, family)
  const moved = spacing === 'leading' ? chosen.map((timestep) => timestep + stepsOffset) : chosen
  if (moved[0]! > timesteps - 1)
    throw new RangeError(`stepsOffset: expected timesteps up to ${timesteps - 1}, got ${moved[0]}`)
  const repeated = moved.findIndex((timestep, i) => i > 0 && !(timestep < moved[i - 1]!))
  if (repeated >= 0) throw new RangeError(`steps: expected fewer, got timestep ${moved[repeated]} twice`)
  return moved
}

function choose(
  timesteps: number,
  steps: number,
  spacing: TimestepSpacing,
  family: NonNullable<SpacedTimestepsOptions['family']>,
): number[] {
  // Of n + 1 the last is left out, which is where the grid ends.
  const points = family === 'dpm' ? steps + 1 : steps
  if (spacing === 'leading') {
    const ratio = Math.floor(timesteps / points)
    return Array.from({ length: steps }, (_, i) => (points - 1 - i) * ratio)
  }
  if (spacing === 'linspace') {
    const exact = Array.from({ length: steps }, (_, i) =>
      points === 1 ? 0 : ((points - 1 - i) * (timesteps - 1)) / (points - 1),
    )
    return family === 'euler' ? exact : exact.map(roundToEven)
  }
  if (spacing === 'trailing')
    return Array.from({ length: steps }, (_, i) => roundToEven(timesteps - (i * timesteps) / steps) - 1)
  throw new RangeError(`spacing: expected "leading", "linspace" or "trailing", got ${describeValue(spacing)}`)
}

/** Halves go to the even neighbour, as in NumPy. */
function roundToEven(x: number): number {
  const low = Math.floor(x)
  if (x - low !== 0.5) return Math.round(x)
  return low % 2 === 0 ? low : low + 1
}

export interface LcmTimestepsOptions {
  /** n */
  readonly steps: number
  /** how many timesteps the model was distilled for; default 50 */
  readonly originalSteps?: number
}

/**
 * Chooses timesteps of a latent consistency model: n among those it was distilled for. arXiv 2310.04378
 * @param timesteps T
 * @returns n timesteps, falling
 * @throws RangeError for other than 1 to originalSteps steps, or more of those than T
 */
export function lcmTimesteps(timesteps: number, options: LcmTimestepsOptions): number[] {
  const { steps, originalSteps = 50 } = options
  requireInteger('timesteps', timesteps, 1)
  requireInteger('originalSteps', originalSteps, 1)
  requireInteger('steps', steps, 1)
  if (originalSteps > timesteps)
    throw new RangeError(`originalSteps: expected at most ${timesteps} timesteps, got ${originalSteps}`)
  if (steps > originalSteps) throw new RangeError(`steps: expected at most ${originalSteps}, got ${steps}`)
  const ratio = Math.floor(timesteps / originalSteps)
  return Array.from({ length: steps }, (_, i) => (originalSteps - Math.floor((i * originalSteps) / steps)) * ratio - 1)
}
