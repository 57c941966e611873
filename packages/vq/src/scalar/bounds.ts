import * as tf from '@tensorflow/tfjs-core'
import { roundTo } from './round-to.ts'
import type { Grid, GridContext } from './scalar-quantizer.ts'

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

/** How numbers are kept in range: smoothly, or cut off at ±1 (for input that is there already). */
export type Squash = 'tanh' | 'clamp'

/**
 * The bounds of finite scalar quantization for these levels per dimension.
 *
 * - `atanh`: tanh, shifted so that 0 stays 0; a little wider than the levels. The form in common use.
 * - `tan`: as in the paper's listing (arXiv 2309.15505, appendix A.1); 0 moves by some 1e-4 where L is even.
 * - `symmetric`: levels evenly over [-1, 1] with both ends (arXiv 2411.19842); the only one for L = 2.
 */
export function makeBound(name: BoundName, levels: readonly number[], squash: Squash = 'tanh'): Bound {
  const within = (z: tf.Tensor): tf.Tensor => (squash === 'tanh' ? tf.tanh(z) : tf.clipByValue(z, -1, 1))
  if (name === 'symmetric') return symmetricBound(levels, within)
  const widen = name === 'atanh' ? 1 + EPSILON : 1 - EPSILON
  const half = levels.map((L) => ((L - 1) * widen) / 2)
  const offset = levels.map((L) => (L % 2 === 0 ? 0.5 : 0))
  const moved = (ratio: number): number => (name === 'atanh' ? Math.atanh(ratio) : Math.tan(ratio))
  // Cut off rather than squashed, 0 stays 0 by the ratio itself.
  const shift = half.map((h, i) => (squash === 'tanh' ? moved(offset[i]! / h) : offset[i]! / h))
  // Position 0 is level 0; the code at floor(L / 2) has the value 0.
  const middle = levels.map((L) => Math.floor(L / 2))
  const centre = middle.map((m, i) => m - offset[i]!)
  return {
    position: (z) => tf.add(tf.mul(within(tf.add(z, shift)), half), centre),
    // Half to even about the middle level, as PyTorch rounds.
    snap: (position) => clampLevels(tf.add(tf.round(tf.sub(position, middle)), middle), levels),
    value: (level) => tf.div(tf.sub(level, middle), middle),
  }
}

const EPSILON = 1e-3

/** Levels evenly over [-1, 1], for numbers that `within` brings there. */
function symmetricBound(levels: readonly number[], within: (z: tf.Tensor) => tf.Tensor): Bound {
  const span = levels.map((L) => L - 1)
  return {
    position: (z) => tf.mul(tf.div(tf.add(within(z), 1), 2), span),
    snap: (position) => clampLevels(tf.floor(tf.add(position, 0.5)), levels),
    value: (level) => tf.sub(tf.div(tf.mul(level, 2), span), 1),
  }
}

/**
 * Odd numbers of levels evenly over [-1, 1], for numbers squashed by `2 sigmoid(1.6 z) - 1`, which makes normal ones
 * almost uniform. arXiv 2601.17124
 */
export function sigmoidBound(levels: readonly number[]): Bound {
  const half = levels.map((L) => (L - 1) / 2)
  return {
    position: (z) => tf.mul(tf.mul(tf.sigmoid(tf.mul(z, 1.6)), 2), half),
    snap: (position) => clampLevels(tf.add(tf.round(tf.sub(position, half)), half), levels),
    value: (level) => tf.div(tf.sub(level, half), half),
  }
}

/** A grid of levels under a bound; the gradient passes the rounding straight through. */
export function boundGrid(bound: Bound, levels: readonly number[], noise: number = 0): Grid {
  return {
    levels,
    quantize: (z, context) => {
      const position = bound.position(z) // [N, c, D]
      const level = bound.snap(position)
      const value = bound.value(roundTo(position, () => tf.clone(level)))
      return { level, value: noise > 0 && context.training ? disturb(value, noise, context) : value }
    },
    value: (level) => bound.value(level),
  }
}

/** Moves so large a share of values by a uniform draw from ±0.5, within [-1, 1]. arXiv 2411.19842, section 3.2 */
function disturb(value: tf.Tensor, noise: number, { key }: GridContext): tf.Tensor {
  if (!key) throw new TypeError('key: noise is drawn in training, expected a key, got undefined')
  const chosen = tf.less(key.fold(0).uniform(value.shape), noise)
  const moved = tf.add(value, key.fold(1).uniform(value.shape, { min: -0.5, max: 0.5 }))
  return tf.clipByValue(tf.where(chosen, moved, value), -1, 1)
}

/** Beyond about 1000 levels the widened tanh rounds past the last one. */
function clampLevels(level: tf.Tensor, levels: readonly number[]): tf.Tensor {
  return tf.minimum(
    tf.maximum(level, 0),
    levels.map((L) => L - 1),
  )
}
