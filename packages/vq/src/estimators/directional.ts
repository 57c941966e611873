import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@x/core-gpu'
import { keyFor } from '../step.ts'
import { type Estimator, straightThrough } from './estimator.ts'

/**
 * `|q - z| direction` with the direction held constant: a shift of the right length, differentiable towards vectors and
 * codes through its length.
 * @param z `[N, d]`
 * @param q `[N, d]`
 * @param direction `[N, d]`
 */
function shift(z: tf.Tensor2D, q: tf.Tensor2D, direction: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(lengths(tf.sub(q, z)), stopGradient(direction))
}

/** |x| of each row, kept off 0, where it has no derivative; `[N, 1]` */
function lengths(x: tf.Tensor2D): tf.Tensor2D {
  return tf.sqrt(tf.maximum(tf.sum(tf.square(x), 1, true), 1e-24)) as tf.Tensor2D
}

function unit(x: tf.Tensor2D): tf.Tensor2D {
  return tf.div(x, lengths(x))
}

/**
 * DiVeQ: the vector is moved by its distance to the code, along the direction to the code with a little noise.
 * arXiv 2509.26469
 *
 *     z + |q - z| sg[D],   D = unit(q - z + noise)
 * @param z `[N, d]`
 * @param q codes, `[N, d]`
 * @param noise `[N, d]`
 * @returns `[N, d]`, differentiable towards `z` and `q`
 */
export function directional(z: tf.Tensor2D, q: tf.Tensor2D, noise: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.add(z, shift(z, q, unit(tf.add(tf.sub(q, z), noise)))))
}

/**
 * NSVQ: the error of quantization is replaced by noise of its length. DOI 10.1109/ACCESS.2022.3147670
 *
 *     z + |z - q| n / |n|
 * @param z `[N, d]`
 * @param q codes, `[N, d]`
 * @param noise n, standard normal, `[N, d]`
 * @returns `[N, d]`, differentiable towards `z` and `q`
 */
export function noiseSubstitution(z: tf.Tensor2D, q: tf.Tensor2D, noise: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.add(z, shift(z, q, unit(noise))))
}

export interface DirectionalOptions {
  /** standard deviation of the noise on the direction; default 1e-3 */
  readonly noise?: number
}

/** The DiVeQ estimator: noisy in training, which needs a key; the code itself otherwise. arXiv 2509.26469 */
export function directionalEstimator(options: DirectionalOptions = {}): Estimator {
  const { noise = 1e-3 } = options
  return (z, q, { training, key }) =>
    training ? tf.tidy(() => directional(z, q, noiseOf(z, noise, key))) : straightThrough(z, q)
}

/** The NSVQ estimator: noise of the error's length in training, which needs a key; the code itself otherwise. */
export const noiseEstimator: Estimator = (z, q, { training, key }) =>
  training ? tf.tidy(() => noiseSubstitution(z, q, noiseOf(z, 1, key))) : straightThrough(z, q)

function noiseOf(z: tf.Tensor2D, standardDeviation: number, key: Parameters<typeof keyFor>[1]): tf.Tensor2D {
  return keyFor('estimate', key).normal<tf.Rank.R2>(z.shape, { standardDeviation })
}
