import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@x/core-gpu'
import { estimator, type PlainEstimator } from './estimator.ts'

export interface RotationOptions {
  /**
   * Whether the gradient is scaled by |q| / |z|, as in the paper. Codes much shorter than the vectors then starve the
   * encoder; unscaled, the gradient keeps its length. Default true.
   */
  readonly scaled?: boolean
}

/**
 * The rotation trick: the gradient is turned as `z` must be turned to point along `q`, so that its angle to the vector is
 * its angle to the code. arXiv 2410.06424
 *
 * With R the rotation from z to q: `lambda R z + sg[q - lambda R z]`, lambda = |q| / |z|.
 */
export function rotationTrick(options: RotationOptions = {}): PlainEstimator {
  const { scaled = true } = options
  return estimator((g, z, q) =>
    tf.tidy(() => {
      const { u, v, w, lambda } = frame(z, q)
      const turned = householderPair(g, w, v, u) // R^T g = g - 2 (g.w) w + 2 (g.v) u
      return scaled ? tf.mul(lambda, turned) : turned
    }),
  )
}

/**
 * Turns and scales `z` onto `q`: the paper's `lambda R z` with R and lambda held constant. arXiv 2410.06424
 *
 * Equal to `q` up to rounding, save where |z| is under 1e-6, where it is shorter.
 * @param z vectors, `[..., d]`
 * @param q where to turn them, `[..., d]`; gets no gradient
 * @returns `[..., d]`
 */
export function rotateTo(z: tf.Tensor, q: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const d = z.shape.at(-1)!
    const rows = tf.reshape(z, [-1, d]) as tf.Tensor2D // [N, d]
    const { u, v, w, lambda } = frame(stopGradient(rows), tf.reshape(stopGradient(q), [-1, d]) as tf.Tensor2D)
    return tf.reshape(tf.mul(lambda, householderPair(rows, w, u, v)), z.shape)
  })
}

const EPSILON = 1e-6

/** The unit vectors along z and q, the one half-way between, and the ratio of lengths; all `[N, d]` but lambda `[N, 1]`. */
function frame(z: tf.Tensor2D, q: tf.Tensor2D): Record<'u' | 'v' | 'w' | 'lambda', tf.Tensor2D> {
  const length = (x: tf.Tensor): tf.Tensor => tf.norm(x, 2, 1, true) // [N, 1]
  const unit = (x: tf.Tensor2D): tf.Tensor2D => tf.div(x, tf.maximum(length(x), EPSILON))
  const [u, v] = [unit(z), unit(q)]
  const lambda = tf.div(length(q), tf.maximum(length(z), EPSILON)) as tf.Tensor2D
  return { u, v, w: unit(tf.add(u, v)), lambda }
}

/** `x - 2 (x.w) w + 2 (x.from) to`: two reflections, d operations a row, the matrix never built. */
function householderPair(x: tf.Tensor2D, w: tf.Tensor2D, from: tf.Tensor2D, to: tf.Tensor2D): tf.Tensor2D {
  const along = (y: tf.Tensor2D): tf.Tensor => tf.mul(2, tf.sum(tf.mul(x, y), 1, true)) // [N, 1]
  return tf.add(tf.sub(x, tf.mul(along(w), w)), tf.mul(along(from), to))
}
