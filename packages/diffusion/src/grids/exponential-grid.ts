import type { Grid } from '../grid.ts'
import { logSnrOfEdmSigma } from '../noise-level.ts'
import { requirePositive, requireSigmas } from '../schedules/log-snr-range.ts'
import { gridAlong, type GridOptions } from './nodes.ts'

export interface ExponentialGridOptions extends GridOptions {
  readonly sigmaMin: number
  readonly sigmaMax: number
  /** default 1, an even spacing of ln sigma; larger puts more steps near clean (polyexponential) */
  readonly rho?: number
}

/**
 * A grid whose ln sigma falls by a power of what is left: `ln sigma = ln sigmaMin + (1 - part)^rho ln(sigmaMax / sigmaMin)`.
 * @param options final, default `'zero'`
 * @throws RangeError unless 0 < sigmaMin < sigmaMax and rho > 0; for fewer than one step, or a final level below the others
 */
export function exponentialGrid(options: ExponentialGridOptions): Grid {
  const { steps, sigmaMin, sigmaMax, rho = 1, final = 'zero' } = options
  requireSigmas(sigmaMin, sigmaMax)
  requirePositive('rho', rho)
  const [clean, noise] = [logSnrOfEdmSigma(sigmaMin), logSnrOfEdmSigma(sigmaMax)]
  return gridAlong((part) => clean + (1 - part) ** rho * (noise - clean), steps, final)
}
