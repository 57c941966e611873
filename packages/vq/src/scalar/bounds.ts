import * as tf from '@tensorflow/tfjs-core'

/** How a real number becomes one of L levels: squash to a position on 0, ..., L - 1, snap, and read off the value. */
export interface Bound {
  /** @param z `[N, c, D]` @returns positions between the levels, differentiable, `[N, c, D]` */
  position(z: tf.Tensor): tf.Tensor
  /** @returns the level nearest to each position, still float32 */
  snap(position: tf.Tensor): tf.Tensor
  /** @returns the values of levels, in [-1, 1] */
  value(level: tf.Tensor): tf.Tensor
}

/** The names under which the published bounds are chosen. */
export type BoundName = 'atanh' | 'tan' | 'symmetric'

/**
 * The bounds of finite scalar quantization for these levels per dimension.
 *
 * - `atanh`: tanh, shifted so that 0 stays 0; a little wider than the levels. The form in common use.
 * - `tan`: as in the paper's listing (arXiv 2309.15505, appendix A.1); 0 moves by some 1e-4 where L is even.
 * - `symmetric`: levels evenly over [-1, 1] with both ends (arXiv 2411.19842); the only one for L = 2.
 */
export function makeBound(name: BoundName, levels: readonly number[]): Bound {
  if (name === 'symmetric') return symmetric(levels)
  const widen = name === 'atanh' ? 1 + EPSILON : 1 - EPSILON
  const half = levels.map((L) => ((L - 1) * widen) / 2)
  const offset = levels.map((L) => (L % 2 === 0 ? 0.5 : 0))
  const shift = half.map((h, i) => (name === 'atanh' ? Math.atanh(offset[i]! / h) : Math.tan(offset[i]! / h)))
  // Position 0 is level 0; the code at floor(L / 2) has the value 0.
  const middle = levels.map((L) => Math.floor(L / 2))
  const centre = middle.map((m, i) => m - offset[i]!)
  return {
    position: (z) => tf.add(tf.mul(tf.tanh(tf.add(z, shift)), half), centre),
    // Half to even about the middle level, as PyTorch rounds.
    snap: (position) => clampLevels(tf.add(tf.round(tf.sub(position, middle)), middle), levels),
    value: (level) => tf.div(tf.sub(level, middle), middle),
  }
}

const EPSILON = 1e-3

function symmetric(levels: readonly number[]): Bound {
  const span = levels.map((L) => L - 1)
  return {
    position: (z) => tf.mul(tf.div(tf.add(tf.tanh(z), 1), 2), span),
    snap: (position) => clampLevels(tf.floor(tf.add(position, 0.5)), levels),
    value: (level) => tf.sub(tf.div(tf.mul(level, 2), span), 1),
  }
}

/** Beyond about 1000 levels the widened tanh rounds past the last one. */
function clampLevels(level: tf.Tensor, levels: readonly number[]): tf.Tensor {
  return tf.minimum(
    tf.maximum(level, 0),
    levels.map((L) => L - 1),
  )
}
