import * as tf from '@tensorflow/tfjs-core'
import { overRows } from '../assignment/rows.ts'
import { scoreOf } from '../assignment/scores.ts'
import { type DiversityOptions, negativeEntropy } from './diversity.ts'
import type { LossTerm } from './losses.ts'

/**
 * The mean entropy of each vector's own choice: 0 when every choice is certain, log K when none is.
 *
 *     mean_i H(softmax(temperature * score_i))
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param counts 1 where a vector counts, else 0, `[N]`; null when all count
 */
export function choiceEntropy(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  counts: tf.Tensor1D | null,
  options: DiversityOptions = {},
): tf.Scalar {
  const { temperature = 100, score = 'distance' } = options
  return tf.tidy(() => {
    const weights = counts ?? tf.ones<tf.Rank.R1>([z.shape[0]])
    const total = overRows(
      (rows, book, weight) => {
        const logits = tf.mul(temperature, scoreOf(score)(rows, book)) // [n, K]
        const each = tf.sum(tf.mul(tf.softmax(logits), tf.logSoftmax(logits)), 1) // [n]
        return tf.neg(tf.sum(tf.mul(each, weight)))
      },
      z,
      codes,
      { constants: [weights], combine: 'sum' },
    )
    return tf.div(total, tf.maximum(tf.sum(weights), 1))
  })
}

export interface EntropyLossOptions extends DiversityOptions {
  /** weight of the use's entropy against the choices'; default 1 */
  readonly diversity?: number
}

/**
 * Asks for certain choices and an even use of codes: `weight * (mean_i H(p_i) - diversity * H(mean_i p_i))`.
 * arXiv 2310.05737
 */
export function entropyLoss(weight = 1, options: EntropyLossOptions = {}): LossTerm {
  const { diversity = 1, ...rest } = options
  return ({ z, codes, counts }) => {
    const [certainty, use] = [choiceEntropy(z, codes, counts, rest), negativeEntropy(z, codes, counts, rest)]
    return tf.mul(weight, tf.add(certainty, tf.mul(diversity, use)))
  }
}

/** Keeps choices open: `weight * KL(softmax(temperature * score) || uniform)`, a mean over vectors; 0 where all codes fit alike. */
export function uniformPriorLoss(weight = 1, options: DiversityOptions = {}): LossTerm {
  return ({ z, codes, counts }) =>
    tf.mul(weight, tf.sub(Math.log(codes.shape[0]), choiceEntropy(z, codes, counts, options)))
}
