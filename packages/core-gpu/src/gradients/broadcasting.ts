import * as tf from '@tensorflow/tfjs-core'
import { type Gradient, sumTo } from './gradient.ts'

/** tfjs's gradient, summed wherever an input was broadcast; that lacks for some, and for broadcasts to sizes of 0. */
function summed(kernelName: string, names: readonly [string, string] = ['a', 'b']): Gradient {
  const stock = tf.getGradient(kernelName)!
  return {
    ...stock,
    gradFunc: (dy, saved, attributes) => {
      const empty = (dy as tf.Tensor).size === 0
      const gradients = empty ? {} : stock.gradFunc(dy, saved, attributes)
      return Object.fromEntries(
        names.map((name, i) => {
          const { shape } = saved[i]!
          return [name, () => (empty ? tf.zeros(shape) : sumTo(gradients[name]!(), shape))]
        }),
      )
    },
  }
}

/** Gradients of what broadcasts its inputs. */
export const broadcastingGradients: Record<string, Gradient> = {
  ...Object.fromEntries(
    [
      tf.Add,
      tf.Atan2,
      tf.BatchMatMul,
      tf.Maximum,
      tf.Minimum,
      tf.Mod,
      tf.Multiply,
      tf.Pow,
      tf.RealDiv,
      tf.SquaredDifference,
      tf.Sub,
    ].map((name) => [name, summed(name)]),
  ),
  [tf.BroadcastTo]: {
    gradFunc: (dy, _saved, attributes) => ({ x: () => sumTo(dy as tf.Tensor, attributes['inputShape'] as number[]) }),
  },
  [tf.Prelu]: summed(tf.Prelu, ['x', 'alpha']),
}
