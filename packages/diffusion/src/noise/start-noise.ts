import * as tf from '@tensorflow/tfjs-core'
import { describeValue, type Key } from '@x/core-gpu'
import { type Grid, requireGrid } from '../grid.ts'
import { sigmaOf } from '../noise-level.ts'
import { sampleNoise } from './sample-noise.ts'

export interface StartNoiseOptions {
  /**
   * How large: `'sigma'`, the noise that a sample has at the first level, its own part left out (EDM, k-diffusion); or `'unit'`,
   * of variance 1 (DDPM). They differ where the first level is not noise alone. Default `'sigma'`.
   */
  readonly scale?: 'sigma' | 'unit'
}

/**
 * Noise to begin sampling with; sample i depends on the key and i alone.
 * @param shape `[B, ...]`
 * @throws RangeError for a shape without a batch, a grid that is none, or a scale of another name
 */
export function startNoise(key: Key, shape: readonly number[], grid: Grid, options: StartNoiseOptions = {}): tf.Tensor {
  const { scale = 'sigma' } = options
  requireGrid(grid)
  if (scale !== 'sigma' && scale !== 'unit')
    throw new RangeError(`scale: expected "sigma" or "unit", got ${describeValue(scale)}`)
  if (scale === 'unit') return sampleNoise(key, shape)
  return tf.tidy(() => tf.mul(sigmaOf(grid[0]!), sampleNoise(key, shape)))
}
