import * as tf from '@tensorflow/tfjs-core'
import type { Denoiser, Guidance } from '../denoiser.ts'
import type { LogSnr } from '../noise-level.ts'
import { requirePositive } from '../schedules/log-snr-range.ts'

export interface LcmBoundaryOptions {
  /** the timestep of a level, such as a table's `timestepOf` */
  readonly timestepOf: (logSnr: LogSnr) => number
  /** default 0.5 */
  readonly sigmaData?: number
  /** times the timestep; default 10 */
  readonly timestepScaling?: number
}

/**
 * A latent consistency model's boundary: the sample itself at timestep 0, the prediction soon after. arXiv 2310.04378
 * @throws RangeError unless sigmaData and timestepScaling are > 0
 */
export function lcmBoundary<Condition = unknown>(options: LcmBoundaryOptions): Guidance<Condition> {
  const { timestepOf } = options
  const at = lcmFactors(options)
  return (denoiser: Denoiser<Condition>) => (x, logSnr, condition) =>
    tf.tidy(() => {
      const { skip, out } = at(timestepOf(logSnr))
      return tf.add(tf.mul(skip, x), tf.mul(out, denoiser(x, logSnr, condition)))
    })
}

/** The factors of the sample and of the prediction at a timestep. */
function lcmFactors(
  options: Omit<LcmBoundaryOptions, 'timestepOf'>,
): (timestep: number) => { skip: number; out: number } {
  const { sigmaData = 0.5, timestepScaling = 10 } = options
  requirePositive('sigmaData', sigmaData)
  requirePositive('timestepScaling', timestepScaling)
  return (timestep) => {
    const scaled = timestepScaling * timestep
    const length = Math.hypot(scaled, sigmaData)
    return { skip: (sigmaData / length) ** 2, out: scaled / length }
  }
}
