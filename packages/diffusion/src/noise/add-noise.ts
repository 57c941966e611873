import * as tf from '@tensorflow/tfjs-core'
import { type Key, requireShape, requireTensor } from '@x/core-gpu'
import { alphaOf, type LogSnr, requireLogSnr, sigmaOf } from '../noise-level.ts'
import { perSample, requireLevels } from '../predictions/convert-prediction.ts'
import { sampleNoise } from './sample-noise.ts'

/** Where noise comes from: a key, of which sample i takes its own part, or a tensor `[B, ...]`. */
export type NoiseSource = { readonly key: Key } | { readonly noise: tf.Tensor }

/**
 * Brings clean samples to a level: `alpha x0 + sigma noise`.
 * @param x0 `[B, ...]`
 * @param logSnr one level, or one for each sample
 * @returns `[B, ...]`
 * @throws TypeError without key or noise
 * @throws RangeError for a level that is NaN, other numbers of levels than samples, or noise of another shape
 */
export function addNoise(x0: tf.Tensor, logSnr: LogSnr | readonly LogSnr[], source: NoiseSource): tf.Tensor {
  requireTensor('x0', x0)
  const levels = typeof logSnr === 'number' ? [logSnr] : logSnr
  if (typeof logSnr === 'number') requireLogSnr(logSnr)
  else requireLevels(levels, x0)
  if ('noise' in source) requireShape('noise', source.noise, x0.shape)
  else if (!('key' in source)) throw new TypeError('source: expected a key or noise, got neither')
  return tf.tidy(() => {
    const noise = 'noise' in source ? source.noise : sampleNoise(source.key, x0.shape)
    return tf.add(
      tf.mul(perSample(levels.map(alphaOf), x0.rank), x0),
      tf.mul(perSample(levels.map(sigmaOf), x0.rank), noise),
    )
  })
}
