import * as tf from '@tensorflow/tfjs-core'
import { type Key, meanSquaredError, stopGradient } from '@x/core-gpu'

/** What a training step's losses see. */
export interface LossBatch {
  /** vectors, `[N, d]` */
  readonly z: tf.Tensor2D
  /** the code of each, `[N, d]`, differentiable towards the codebook */
  readonly q: tf.Tensor2D
  /** 1 where a vector counts, else 0, `[N]`; null when all count */
  readonly counts: tf.Tensor1D | null
  /** what stands for the codes downstream, with the estimated gradient, `[N, d]` */
  readonly value: tf.Tensor2D
  /** all codes, `[K, d]`, differentiable towards the codebook */
  readonly codes: tf.Tensor2D
  /** the chosen ones, int32 `[N]` */
  readonly indices: tf.Tensor1D
  /** the vectors' leading shape, of which N is the product */
  readonly lead: readonly number[]
  readonly key: Key | undefined
}

/** One weighted loss of a quantizer. */
export interface LossTerm {
  (batch: LossBatch): tf.Scalar
  /** set where the term works on the codes alone, so that it is lost on codes without a gradient */
  readonly trainsCodes?: true
}

/** What a term that compares vectors with their codes looks at. */
export type Pairs = Pick<LossBatch, 'z' | 'q' | 'counts'>

/** Pulls codes to the vectors that chose them: `weight * mse(sg[z], q)`. arXiv 1711.00937 */
export function codebookLoss(weight = 1): (batch: Pairs) => tf.Scalar {
  return ({ z, q, counts }) => weighted(weight, meanSquare(stopGradient(z), q, counts))
}

/** Keeps vectors near their codes: `weight * mse(z, sg[q])`. arXiv 1711.00937 */
export function commitmentLoss(weight = 0.25): (batch: Pairs) => tf.Scalar {
  return ({ z, q, counts }) => weighted(weight, meanSquare(z, stopGradient(q), counts))
}

function weighted(weight: number, loss: tf.Scalar): tf.Scalar {
  return weight === 1 ? loss : tf.mul(weight, loss)
}

/** Mean of the squared difference over every element that counts. */
export function meanSquare(a: tf.Tensor2D, b: tf.Tensor2D, counts: tf.Tensor1D | null): tf.Scalar {
  if (!counts) return meanSquaredError(a, b)
  const squared = tf.square(tf.sub(a, b)) // [N, d]
  const elements = tf.maximum(tf.mul(tf.sum(counts), a.shape[1]), 1)
  return tf.div(tf.sum(tf.mul(squared, tf.expandDims(counts, 1))), elements)
}
