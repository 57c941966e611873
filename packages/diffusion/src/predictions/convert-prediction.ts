import * as tf from '@tensorflow/tfjs-core'
import { describeValue, requireShape, requireTensor } from '@x/core-gpu'
import { alphaOf, type LogSnr, requireLogSnr, sigmaOf } from '../noise-level.ts'

/**
 * What a network may predict of x = alpha x0 + sigma eps:
 * - `'x0'`: the clean sample
 * - `'eps'`: the noise
 * - `'v'`: alpha eps - sigma x0 (arXiv 2202.00512)
 * - `'u'`: eps - x0, the velocity of flow matching (arXiv 2209.03003)
 * - `'score'`: the gradient of the log density of x, -eps / sigma
 */
export type Prediction = 'x0' | 'eps' | 'v' | 'u' | 'score'

export interface ConvertPredictionOptions {
  readonly from: Prediction
  readonly to: Prediction
}

/**
 * Turns one prediction into another, exactly.
 * @param prediction `[B, ...]`
 * @param x `[B, ...]`, variance preserving
 * @param logSnr one level, or one for each sample
 * @returns `[B, ...]`
 * @throws RangeError for shapes that differ, for names not listed, and at levels at which `from` does not determine `to`
 * (`'eps'` at noise alone, `'x0'` at clean)
 */
export function convertPrediction(
  prediction: tf.Tensor,
  x: tf.Tensor,
  logSnr: LogSnr | readonly LogSnr[],
  { from, to }: ConvertPredictionOptions,
): tf.Tensor {
  requireTensor('x', x)
  requireShape('prediction', prediction, x.shape)
  if (from === to) return tf.clone(prediction)
  const levels = typeof logSnr === 'number' ? [logSnr] : logSnr
  if (typeof logSnr !== 'number') requireLevels(levels, x)
  const pairs = levels.map((level) => conversion(level, from, to))
  return tf.tidy(() => {
    const [ofX, ofPrediction] = [0, 1].map((i) =>
      perSample(
        pairs.map((pair) => pair[i]!),
        x.rank,
      ),
    )
    return tf.add(tf.mul(ofX!, x), tf.mul(ofPrediction!, prediction))
  })
}

/**
 * The factors of x and of the prediction `from` that add up to the prediction `to`.
 * @throws RangeError for a level at which there are none, and for names not listed
 */
export function conversion(logSnr: LogSnr, from: Prediction, to: Prediction): [ofX: number, ofPrediction: number] {
  requireLogSnr(logSnr)
  const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
  // A prediction is c x0 + d eps, and x is alpha x0 + sigma eps.
  const [c, d] = partsOf('from', from, alpha, sigma)
  const [e, f] = partsOf('to', to, alpha, sigma)
  // Noise and score are multiples of one another, at every level but clean.
  if (c === 0 && e === 0 && sigma > 0) return [0, f / d]
  const determinant = alpha * d - sigma * c
  const factors: [number, number] = [(e * d - f * c) / determinant, (alpha * f - sigma * e) / determinant]
  if (!factors.every(Number.isFinite))
    throw new RangeError(`logSnr: expected a level at which "${from}" determines "${to}", got ${logSnr}`)
  return factors
}

function partsOf(name: string, prediction: Prediction, alpha: number, sigma: number): [number, number] {
  switch (prediction) {
    case 'x0':
      return [1, 0]
    case 'eps':
      return [0, 1]
    case 'v':
      return [-sigma, alpha]
    case 'u':
      return [-1, 1]
    case 'score':
      return [0, -1 / sigma]
    default:
      throw new RangeError(`${name}: expected "x0", "eps", "v", "u" or "score", got ${describeValue(prediction)}`)
  }
}

/** Numbers as a tensor that scales samples: a scalar, or `[B, 1, ...]`. */
export function perSample(values: readonly number[], rank: number): tf.Tensor {
  if (values.length === 1) return tf.scalar(values[0]!)
  return tf.tensor([...values], [values.length, ...Array.from({ length: rank - 1 }, () => 1)], 'float32')
}

/** @throws RangeError unless there is one level for each sample of x */
export function requireLevels(levels: readonly LogSnr[], x: tf.Tensor): void {
  if (levels.length !== x.shape[0])
    throw new RangeError(`logSnr: expected one level for each of ${x.shape[0] ?? 0} samples, got ${levels.length}`)
  levels.forEach(requireLogSnr)
}
