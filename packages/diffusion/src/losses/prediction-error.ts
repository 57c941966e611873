import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import type { LogSnr } from '../noise-level.ts'
import { addNoise } from '../noise/add-noise.ts'
import { sampleNoise } from '../noise/sample-noise.ts'
import { perSample } from '../predictions/convert-prediction.ts'
import { type Network, requireOutput, targetFactors } from '../predictions/network.ts'
import type { Parameterisation } from '../predictions/parameterisation.ts'

/** Clean samples, the levels they are brought to, and where the noise comes from. */
export interface NoisySamples {
  /** `[B, ..., C]` */
  readonly x0: tf.Tensor
  /** one for each sample */
  readonly logSnr: readonly LogSnr[]
  readonly key: Key
}

/** What a network's output is off, and what one of that is worth in x0. */
export interface PredictionError {
  /** `[B, ..., C]`, differentiable */
  readonly error: tf.Tensor
  /** what the network says beside its prediction, `[B, ..., C]`; undefined without */
  readonly beside: tf.Tensor | undefined
}

/** The factor from an error of the network's output to that of x0, for each level. */
export function cleanErrors(parameterisation: Parameterisation, logSnr: readonly LogSnr[]): number[] {
  return logSnr.map((level) => targetFactors(parameterisation, level).toX0)
}

/**
 * Shows noisy samples to a network, and compares what it says with what it should say.
 * @param outputs 1 for a network that predicts, 2 for one that says something beside it, in channels of its own
 * @throws RangeError for an output of another shape
 */
export function predictionError<Condition>(
  { x0, logSnr, key }: NoisySamples,
  network: Network<Condition>,
  parameterisation: Parameterisation,
  condition: Condition | undefined,
  outputs: 1 | 2,
): PredictionError {
  const column = (values: number[]): tf.Tensor => perSample(values, x0.rank)
  const factors = logSnr.map((level) => targetFactors(parameterisation, level))
  const noise = sampleNoise(key, x0.shape)
  const seen = tf.mul(column(logSnr.map(parameterisation.inputScale)), addNoise(x0, logSnr, { noise }))
  const output = network(seen, tf.tensor1d(logSnr.map(parameterisation.time)), condition)
  requireOutput(output, [...x0.shape.slice(0, -1), outputs * x0.shape.at(-1)!])
  const [prediction, beside] = outputs === 1 ? [output] : tf.split(output, 2, -1)
  const target = tf.add(
    tf.mul(column(factors.map(({ ofX0 }) => ofX0)), x0),
    tf.mul(column(factors.map(({ ofEps }) => ofEps)), noise),
  )
  return { error: tf.sub(prediction!, target), beside }
}

/** Each sample's mean: `[B, ...]` to `[B]`. */
export function meanOfEach(x: tf.Tensor): tf.Tensor1D {
  return tf.mean(tf.reshape(x, [x.shape[0]!, -1]), 1)
}
