import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import { keyFor } from '../step.ts'
import { type Assignment, nearest } from './nearest.ts'
import { rowBlocks, untaped } from './rows.ts'
import { dotScore, scoreOf, type ScoreName } from './scores.ts'

export interface SampledOptions {
  /** how far from the best code draws go: 0 is the best always; default 1 */
  readonly temperature?: number
  /** what codes are drawn by; default `'distance'` */
  readonly score?: ScoreName
}

/**
 * Draws a code by softmax(score / temperature) in training, and takes the best one otherwise.
 *
 * Scores are held block by block of rows.
 */
export function sampled(options: SampledOptions = {}): Assignment {
  const { temperature = 1, score = 'distance' } = options
  if (!(temperature >= 0)) throw new RangeError(`temperature: expected a number >= 0, got ${temperature}`)
  const best = score === 'dot' ? largestDot : nearest
  if (temperature === 0) return best
  return (z, codes, { training, key }) =>
    training ? sampleCodes(z, codes, keyFor('assignment', key), { temperature, score }) : best(z, codes)
}

/**
 * Draws by the Gumbel-max rule: argmax(score / temperature + noise).
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param noise standard Gumbel, `[N, K]`, or the key to draw it by
 * @returns int32 `[N]`
 */
export function sampleCodes(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  noise: tf.Tensor2D | Key,
  options: SampledOptions = {},
): tf.Tensor1D {
  const { temperature = 1, score = 'distance' } = options
  const width = codes.shape[0]
  return untaped(() => {
    const logits = (rows: tf.Tensor2D): tf.Tensor => tf.div(scoreOf(score)(rows, codes), temperature)
    const picks = rowBlocks(z.shape[0], width).map(([from, size], i) =>
      tf.tidy(() => {
        const drawn = 'fold' in noise ? gumbel(noise.fold(i), [size, width]) : tf.slice(noise, from, size)
        return tf.argMax(tf.add(logits(tf.slice(z, from, size)), drawn), 1)
      }),
    )
    return concatIndices(picks)
  })
}

/** The code of the largest product z.e; of several, the first. */
export const largestDot = (z: tf.Tensor2D, codes: tf.Tensor2D): tf.Tensor1D =>
  untaped(() => {
    const picks = rowBlocks(z.shape[0], codes.shape[0]).map(([from, size]) =>
      tf.tidy(() => tf.argMax(dotScore(tf.slice(z, from, size), codes), 1)),
    )
    return concatIndices(picks)
  })

/** Standard Gumbel noise. */
export function gumbel(key: Key, shape: [number, number]): tf.Tensor2D {
  // Kept off 0, whose logarithm is infinite.
  return tf.tidy(() => tf.neg(tf.log(tf.neg(tf.log(key.uniform<tf.Rank.R2>(shape, { min: 2 ** -25 }))))))
}

function concatIndices(parts: tf.Tensor[]): tf.Tensor1D {
  return (parts.length === 0 ? tf.tensor1d([], 'int32') : tf.concat(parts)) as tf.Tensor1D
}
