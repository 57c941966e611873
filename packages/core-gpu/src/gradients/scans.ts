import * as tf from '@tensorflow/tfjs-core'
import type { Gradient } from './gradient.ts'

/** Gradients of running sums and products. */
export const scanGradients: Record<string, Gradient> = {
  /** As TensorFlow's, by division: NaN where an element is 0. */
  [tf.Cumprod]: {
    inputsToSave: ['x'],
    outputsToSave: [true],
    gradFunc: (dy, saved, { axis, exclusive, reverse }) => {
      const [x, y] = saved as [tf.Tensor, tf.Tensor]
      return {
        x: () =>
          tf.div(tf.cumsum(tf.mul(dy as tf.Tensor, y), axis as number, exclusive as boolean, !(reverse as boolean)), x),
      }
    },
  },
  // tfjs's own takes the axes of the result in the wrong order unless the axis is the last.
  [tf.Cumsum]: {
    gradFunc: (dy, _saved, { axis, exclusive, reverse }) => ({
      x: () => tf.cumsum(dy as tf.Tensor, axis as number, exclusive as boolean, !(reverse as boolean)),
    }),
  },
  // The product of the others is a running product from the front times one from the back.
  [tf.Prod]: {
    inputsToSave: ['x'],
    gradFunc: (dy, saved, { axis }) => {
      const x = saved[0]!
      return {
        x: () => {
          if (x.size === 0) return tf.zeros(x.shape)
          const axes = tf.util.parseAxisParam((axis as number[] | null) ?? [...x.shape.keys()], x.shape)
          const kept = [...x.shape.keys()].filter((i) => !axes.includes(i))
          const order = [...kept, ...axes]
          const moved = tf.transpose(x, order)
          const count = tf.util.sizeFromShape(axes.map((i) => x.shape[i]!))
          const rows = tf.reshape(moved, [x.size / count, count])
          const others = tf.mul(tf.cumprod(rows, 1, true, false), tf.cumprod(rows, 1, true, true))
          const gradient = tf.mul(others, tf.reshape(dy as tf.Tensor, [x.size / count, 1]))
          return tf.transpose(tf.reshape(gradient, moved.shape), order.map((_, i) => order.indexOf(i))) // prettier-ignore
        },
      }
    },
  },
}
