import * as tf from '@tensorflow/tfjs-core'
import { type Key, lookup } from '@x/core-gpu'
import { type Assignment, nearest } from '../assignment/nearest.ts'
import { keyFor } from '../step.ts'
import { directional, type DirectionalOptions } from './directional.ts'
import { type Estimator, straightThrough } from './estimator.ts'

/** Where on the segments between neighbouring codes a step looks, uniform in [0, 1): `[K - 1, 1]`. */
function drawDither(codes: tf.Tensor2D, key: Key | undefined): tf.Tensor2D {
  return keyFor('dither', key).uniform<tf.Rank.R2>([codes.shape[0] - 1, 1])
}

/** Each code and the one after it, `[K - 1, d]`. */
function neighbours(codes: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
  const [count] = codes.shape
  return [tf.slice(codes, 0, count - 1), tf.slice(codes, 1, count - 1)]
}

/**
 * The points on the curve through all codes, in their order, that vectors may take: `(1 - l) e_i + l e_(i+1)`.
 * arXiv 2509.26469
 * @param codes `[K, d]`
 * @param dither l, `[K - 1, 1]`
 * @returns `[K - 1, d]`
 */
export function ditheredCodes(codes: tf.Tensor2D, dither: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const [first, second] = neighbours(codes)
    return tf.add(tf.mul(tf.sub(1, dither), first), tf.mul(dither, second))
  })
}

/**
 * SF-DiVeQ: the vector is moved towards a point between two neighbouring codes, along noisy directions to both.
 * arXiv 2509.26469
 *
 *     z + |e_i - z| sg[(1 - l) D_1] + |e_(i+1) - z| sg[l D_2]
 * @param z `[N, d]`
 * @param codes `[K, d]`
 * @param segments which segment each vector takes, int32 `[N]`, 0 to K - 2
 * @param dither l, `[K - 1, 1]`
 * @param noise on the two directions, each `[N, d]`
 * @returns `[N, d]`, differentiable towards `z` and `codes`
 */
export function spaceFilling(
  z: tf.Tensor2D,
  codes: tf.Tensor2D,
  segments: tf.Tensor1D,
  dither: tf.Tensor2D,
  noise: readonly [tf.Tensor2D, tf.Tensor2D],
): tf.Tensor2D {
  return tf.tidy(() => {
    const at = tf.gather(dither, segments) // [N, 1]
    const ends = [segments, tf.add(segments, tf.scalar(1, 'int32'))].map(
      (indices) => lookup(codes, indices) as tf.Tensor2D, // [N, d]
    ) as [tf.Tensor2D, tf.Tensor2D]
    const [first, second] = ends.map((end, i) => directional(z, end, noise[i]!)) as [tf.Tensor2D, tf.Tensor2D]
    return tf.add(tf.mul(tf.sub(1, at), first), tf.mul(at, second))
  })
}

/** The segment whose dithered point is nearest in training, which needs a key; the nearest code otherwise. */
export const nearestSegment: Assignment = (z, codes, { training, key }) =>
  training ? tf.tidy(() => nearest(z, ditheredCodes(codes, drawDither(codes, key)))) : nearest(z, codes)

/** The SF-DiVeQ estimator, for codes chosen by `nearestSegment`. arXiv 2509.26469 */
export function spaceFillingEstimator(options: DirectionalOptions = {}): Estimator {
  const { noise = 1e-3 } = options
  return (z, q, { training, key, codes, indices }) => {
    if (!training) return straightThrough(z, q)
    return tf.tidy(() => {
      const drawn = keyFor('estimate', key)
        .split(2)
        .map((k) => k.normal<tf.Rank.R2>(z.shape, { standardDeviation: noise })) as [tf.Tensor2D, tf.Tensor2D]
      return spaceFilling(z, codes, indices, drawDither(codes, key), drawn)
    })
  }
}
