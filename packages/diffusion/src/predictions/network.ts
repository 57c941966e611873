import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireTensor } from '@x/core-gpu'
import type { Denoiser } from '../denoiser.ts'
import { alphaOf, type LogSnr, requireLogSnr, sigmaOf } from '../noise-level.ts'
import type { Parameterisation } from './parameterisation.ts'

/**
 * What is trained: from a noisy sample and a number that says how noisy, to a prediction.
 * @param x `[B, ...]`, scaled as the network's parameterisation says
 * @param time `[B]`
 * @param condition handed on from the denoiser or the loss
 * @returns `[B, ...]`, the shape of x, new and owned by the caller
 */
export type Network<Condition = unknown> = (x: tf.Tensor, time: tf.Tensor1D, condition?: Condition) => tf.Tensor

/**
 * Makes a denoiser from a network and the convention of its training.
 * @throws RangeError on use, for a level at which the network's prediction does not determine the clean sample, or an output
 * of another shape than x
 */
export function denoiserOf<Condition = unknown>(
  network: Network<Condition>,
  parameterisation: Parameterisation,
): Denoiser<Condition> {
  return (x, logSnr, condition) =>
    tf.tidy(() => {
      const output = callNetwork(network, parameterisation, x, logSnr, condition)
      requireOutput(output, x.shape)
      return cleanOf(parameterisation, x, output, logSnr)
    })
}

/** What a network says at one level. */
export function callNetwork<Condition>(
  network: Network<Condition>,
  parameterisation: Parameterisation,
  x: tf.Tensor,
  logSnr: LogSnr,
  condition: Condition | undefined,
): tf.Tensor {
  requireTensor('x', x)
  requireLogSnr(logSnr)
  const time = tf.fill([x.shape[0]!], parameterisation.time(logSnr)) as tf.Tensor1D
  return network(tf.mul(x, parameterisation.inputScale(logSnr)), time, condition)
}

/** The clean sample that a network's output stands for. */
export function cleanOf(
  parameterisation: Parameterisation,
  x: tf.Tensor,
  output: tf.Tensor,
  logSnr: LogSnr,
): tf.Tensor {
  const [skip, out] = cleanFactors(parameterisation, logSnr)
  return tf.add(tf.mul(x, skip), tf.mul(output, out))
}

/**
 * The factors of x and of a network's output that add up to the clean sample.
 * @throws RangeError for a level at which there are none
 */
function cleanFactors({ skip, out }: Parameterisation, logSnr: LogSnr): [number, number] {
  const factors: [number, number] = [skip(logSnr), out(logSnr)]
  if (!factors.every(Number.isFinite))
    throw new RangeError(`logSnr: expected a level at which the network determines the clean sample, got ${logSnr}`)
  return factors
}

/**
 * What a network should say of x = alpha x0 + sigma eps, as factors of x0 and eps, and the factor from its error to that of x0.
 * @throws RangeError for a level at which its output does not matter
 */
export function targetFactors(
  parameterisation: Parameterisation,
  logSnr: LogSnr,
): { ofX0: number; ofEps: number; toX0: number } {
  const [skip, out] = cleanFactors(parameterisation, logSnr)
  const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
  const factors = { ofX0: (1 - skip * alpha) / out, ofEps: (-skip * sigma) / out, toX0: out }
  if (!Number.isFinite(factors.ofX0) || !Number.isFinite(factors.ofEps))
    throw new RangeError(`logSnr: expected a level at which the network's output matters, got ${logSnr}`)
  return factors
}

/** @throws RangeError unless the output has the shape */
export function requireOutput(output: tf.Tensor, shape: readonly number[]): void {
  if (!tf.util.arraysEqual(output.shape, [...shape]))
    throw new RangeError(
      `network: expected an output of shape ${describeShape(shape)}, got ${describeShape(output.shape)}`,
    )
}
