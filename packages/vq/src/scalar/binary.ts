import * as tf from '@tensorflow/tfjs-core'
import { roundTo } from './round-to.ts'
import type { Grid } from './scalar-quantizer.ts'

export interface BinaryGridOptions {
  /** brings vectors where their signs are taken; default: as they are */
  readonly prepare?: (z: tf.Tensor) => tf.Tensor
  /** what the straight-through gradient is multiplied with; default 1 */
  readonly slope?: number
}

/** The corners of a cube: each number becomes `scale` where it is positive, else `-scale`; straight through. */
export function binaryGrid(bits: number, scale: number, options: BinaryGridOptions = {}): Grid {
  const { prepare, slope = 1 } = options
  const value = (level: tf.Tensor): tf.Tensor => tf.mul(tf.sub(tf.mul(level, 2), 1), scale)
  return {
    levels: Array.from({ length: bits }, () => 2),
    first: 'most',
    ...(prepare && { prepare }),
    quantize: (z) => {
      const level = tf.cast(tf.greater(z, 0), 'float32')
      return { level, value: roundTo(tf.mul(z, slope), () => value(level)) }
    },
    value,
  }
}

/** Puts vectors on the unit sphere, along the last dimension. */
export function onSphere(z: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.div(z, tf.sqrt(tf.maximum(tf.sum(tf.square(z), -1, true), 1e-24))))
}

/** `c tanh(z / c)`: numbers kept within ±c. */
export function softClamp(z: tf.Tensor, most: number | number[]): tf.Tensor {
  return tf.tidy(() => tf.mul(tf.tanh(tf.div(z, most)), most))
}
