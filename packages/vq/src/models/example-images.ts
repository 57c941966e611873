import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import type { VqVaeConfig } from './vq-vae/config.ts'

/** The smallest network with everything in it: two resolutions, attention, a skip of other width. */
export const tinyConfig: VqVaeConfig = {
  size: [8, 8],
  channels: 2,
  width: 4,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  latentDim: 4,
  groups: 2,
}

/** Images of waves whose direction and phase differ between images and channels, in [-1, 1]: [count, size, size, channels]. */
export function waves(at: Key, count: number, size: number = 8, channels: number = 2): tf.Tensor4D {
  return tf.tidy(() => {
    const [frequencies, phases] = at.split(2) as [Key, Key]
    const [rows, columns] = [tf.range(0, size), tf.range(0, size)].map((axis) => tf.div(axis, size / 6))
    const slope = (key: Key): tf.Tensor => key.uniform([count, 1, 1, channels], { min: -1, max: 1 })
    const [down, across] = frequencies.split(2).map(slope) as [tf.Tensor, tf.Tensor]
    const phase = tf.mul(slope(phases), Math.PI)
    const along = tf.add(
      tf.mul(down, tf.reshape(rows!, [1, size, 1, 1])),
      tf.mul(across, tf.reshape(columns!, [1, 1, size, 1])),
    )
    return tf.sin(tf.add(along, phase)) as tf.Tensor4D
  })
}
