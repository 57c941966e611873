import * as tf from '@tensorflow/tfjs-core'
import { isRecording } from '../../autodiff/is-recording.ts'

/** Registers the gradient of XMeanSquaredError; only a side that is asked for is computed. */
export function registerMeanSquaredErrorGradient(): void {
  tf.registerGradient({
    kernelName: 'XMeanSquaredError',
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, saved) => {
      const [a, b] = saved as [tf.Tensor, tf.Tensor]
      const towards = (own: tf.Tensor, other: tf.Tensor): tf.Tensor =>
        // A gradient of this gradient needs operations that are differentiable themselves.
        isRecording()
          ? tf.mul(tf.mul(dy as tf.Tensor, 2 / own.size), tf.sub(own, other))
          : tf.engine().runKernel('XMeanSquaredErrorGradient', { a: own, b: other, dy: dy as tf.Tensor })
      return { a: () => towards(a, b), b: () => towards(b, a) }
    },
  })
}
