import { describeValue, requireInteger } from '@x/core-gpu'

export interface BetasOptions {
  /** T; default 1000 */
  readonly timesteps?: number
  /** the first; default 1e-4, for `scaledLinearBetas` 0.00085 */
  readonly start?: number
  /** the last; default 0.02, for `scaledLinearBetas` 0.012 */
  readonly end?: number
}

/**
 * DDPM's betas, evenly spaced. arXiv 2006.11239
 * @returns T numbers
 * @throws RangeError unless 0 < start <= end < 1
 */
export function linearBetas(options: BetasOptions = {}): Float64Array {
  const { timesteps = 1000, start = 1e-4, end = 0.02 } = options
  requireEnds(timesteps, start, end)
  return spaced(timesteps, start, end)
}

/**
 * Betas whose roots are evenly spaced; the defaults are Stable Diffusion's. arXiv 2112.10752
 * @returns T numbers
 * @throws RangeError unless 0 < start <= end < 1
 */
export function scaledLinearBetas(options: BetasOptions = {}): Float64Array {
  const { timesteps = 1000, start = 0.00085, end = 0.012 } = options
  requireEnds(timesteps, start, end)
  return spaced(timesteps, Math.sqrt(start), Math.sqrt(end)).map((root) => root * root)
}

export interface CosineBetasOptions {
  /** T; default 1000 */
  readonly timesteps?: number
  /** the largest; default 0.999 */
  readonly max?: number
}

/**
 * Improved DDPM's betas: alpha^2 follows `cos^2((t + 0.008) / 1.008 pi / 2)`. arXiv 2102.09672
 * @returns T numbers
 * @throws RangeError for fewer than one timestep, or unless 0 < max < 1
 */
export function cosineBetas(options: CosineBetasOptions = {}): Float64Array {
  const { timesteps = 1000, max = 0.999 } = options
  requireInteger('timesteps', timesteps, 1)
  if (!(max > 0 && max < 1)) throw new RangeError(`max: expected a number between 0 and 1, got ${describeValue(max)}`)
  const left = (t: number): number => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2
  return Float64Array.from({ length: timesteps }, (_, i) =>
    Math.min(1 - left((i + 1) / timesteps) / left(i / timesteps), max),
  )
}

/**
 * Betas rescaled so that the last timestep is noise alone, and the first stays as it was. arXiv 2305.08891
 * @param betas T numbers
 * @returns T numbers, the last 1; such a model must not predict eps
 * @throws RangeError for fewer than two betas, or one that is not between 0 and 1
 */
export function zeroTerminalSnr(betas: ArrayLike<number>): Float64Array {
  const roots = alphaBars(betas).map(Math.sqrt)
  const last = roots.length - 1
  if (last < 1) throw new RangeError(`betas: expected at least 2, got ${roots.length}`)
  const [first, end] = [roots[0]!, roots[last]!]
  const squares = roots.map((root) => (((root - end) * first) / (first - end)) ** 2)
  return squares.map((square, i) => 1 - (i === 0 ? square : square / squares[i - 1]!))
}

/**
 * The products of 1 - beta: alpha^2 at every timestep.
 * @param betas T numbers
 * @returns T numbers
 * @throws RangeError for a beta that is not above 0 and at most 1
 */
export function alphaBars(betas: ArrayLike<number>): Float64Array {
  if (betas.length === 0) throw new RangeError('betas: expected at least one, got none')
  let product = 1
  return Float64Array.from(betas, (beta, i) => {
    if (!(beta > 0 && beta <= 1))
      throw new RangeError(`betas: expected numbers above 0 and at most 1, got ${describeValue(beta)} at ${i}`)
    product *= 1 - beta
    return product
  })
}

/**
 * The variance of the step from each timestep to the one before, given the clean sample; 0 at the first. arXiv 2006.11239
 * @param betas T numbers
 * @returns T numbers
 * @throws RangeError for a beta that is not above 0 and at most 1
 */
export function posteriorVariances(betas: ArrayLike<number>): Float64Array {
  const bars = alphaBars(betas)
  return bars.map((bar, i) => (i === 0 ? 0 : ((1 - bars[i - 1]!) / (1 - bar)) * betas[i]!))
}

function spaced(n: number, start: number, end: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) =>
    i === n - 1 && n > 1 ? end : start + (i * (end - start)) / Math.max(1, n - 1),
  )
}

function requireEnds(timesteps: number, start: number, end: number): void {
  requireInteger('timesteps', timesteps, 1)
  if (!(start > 0 && start < 1))
    throw new RangeError(`start: expected a number between 0 and 1, got ${describeValue(start)}`)
  if (!(end >= start && end < 1))
    throw new RangeError(`end: expected a number from start ${start} to 1, got ${describeValue(end)}`)
}
