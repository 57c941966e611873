import * as tf from '@tensorflow/tfjs-core'
import { hasKernel } from '../registry.ts'

/**
 * Registers gradients of Softmax and LogSoftmax over the last dimension that take a fused kernel where there is one:
 * XSoftmaxGradient and XLogSoftmaxGradient, from y and dy to dx.
 */
export function registerSoftmaxGradients(): void {
  register(tf.Softmax, 'XSoftmaxGradient', (y, dy) => {
    const share = tf.mul(dy, y)
    return tf.sub(share, tf.mul(tf.sum(share, -1, true), y))
  })
  register(tf.LogSoftmax, 'XLogSoftmaxGradient', (y, dy) => tf.sub(dy, tf.mul(tf.sum(dy, -1, true), tf.exp(y))))
}

function register(kernelName: string, fused: string, plain: (y: tf.Tensor, dy: tf.Tensor) => tf.Tensor): void {
  tf.registerGradient({
    kernelName,
    outputsToSave: [true],
    gradFunc: (dy, saved) => {
      const y = saved[0]!
      const gradient = dy as tf.Tensor
      const isFused = hasKernel(fused) && y.size > 0
      return { logits: () => (isFused ? tf.engine().runKernel(fused, { y, dy: gradient }) : plain(y, gradient)) }
    },
  })
}
