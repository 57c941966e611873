import * as tf from '@tensorflow/tfjs-core'
import { overRows } from '../assignment/rows.ts'
import { scoreOf, type ScoreName } from '../assignment/scores.ts'
import type { LossTerm } from './losses.ts'

export interface DiversityOptions {
  /** scores are multiplied by it: large is near a hard choice; default 100 */
  readonly temperature?: number
  /** default `'distance'`; between unit vectors `'dot'` is the cosine */
  readonly score?: ScoreName
}

export interface DiversityLossOptions extends DiversityOptions {
  /**
   * Over what choices are averaged: `'all'` vectors; or `'batch'`, the first dimension only, so that each position has a
   * distribution of its own (which then depends on how vectors are arranged). Default `'all'`.
   */
  readonly average?: 'all' | 'batch'
}

/**
 * The negative entropy of the codes' use: -log K when all are used alike, 0 when one is.
 *
 *     sum_k p_k log p_k,   p = mean_i softmax(temperature * score_i)
 *
 * Scores are held block by block of rows.
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param counts 1 where a vector counts, else 0, `[N]`; null when all count
 */
export function negativeEntropy(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  counts: tf.Tensor1D | null,
  options: DiversityOptions = {},
): tf.Scalar {
  const { temperature = 100, score = 'distance' } = options
  return tf.tidy(() => {
    const weights = counts ?? tf.ones<tf.Rank.R1>([z.shape[0]])
    const use = overRows(
      (rows, book, weight) =>
        tf.sum(tf.mul(tf.softmax(tf.mul(temperature, scoreOf(score)(rows, book))), tf.expandDims(weight, 1)), 0),
      z,
      codes,
      { constants: [weights], combine: 'sum' },
    ) // [K]
    const p = tf.div(use, tf.maximum(tf.sum(weights), 1))
    return tf.sum(tf.mul(p, tf.log(tf.maximum(p, 1e-5))))
  })
}

/** Asks for all codes to be used alike: `weight * negativeEntropy`. */
export function diversityLoss(weight = 1, options: DiversityLossOptions = {}): LossTerm {
  const { average = 'all', ...rest } = options
  return ({ z, codes, counts, lead }) => {
    if (average === 'all' || lead.length < 2) return tf.mul(weight, negativeEntropy(z, codes, counts, rest))
    const samples = lead[0]!
    const positions = z.shape[0] / samples
    // Row b P + p is position p of sample b: one stride through the rows.
    const at = <T extends tf.Tensor>(x: T, p: number): T =>
      tf.reshape(tf.slice(tf.reshape(x, [samples, positions, -1]), [0, p, 0], [-1, 1, -1]), [
        samples,
        ...x.shape.slice(1),
      ]) as T
    const each = Array.from({ length: positions }, (_, p) =>
      negativeEntropy(at(z, p), codes, counts && at(counts, p), rest),
    )
    return tf.mul(weight, tf.div(tf.addN(each), each.length))
  }
}
