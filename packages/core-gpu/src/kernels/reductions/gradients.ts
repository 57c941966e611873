import * as tf from '@tensorflow/tfjs-core'
import { isRecording } from '../../autodiff/is-recording.ts'
import { hasKernel } from '../registry.ts'
import { axesOf, reductionOf } from './reduction.ts'

/**
 * Registers gradients of Sum and Mean that take the kernel XSpread where there is one: it writes dy times `factor` wherever
 * it came from, in place of a product with a tensor of ones, which would be made in JavaScript each time.
 */
export function registerReductionGradients(): void {
  register(tf.Sum, () => 1)
  register(tf.Mean, (count) => 1 / count)
}

function register(kernelName: string, factorOf: (count: number) => number): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x'],
    gradFunc: (dy, saved, attrs) => {
      const [x, gradient] = [saved[0]!, dy as tf.Tensor]
      const axes = axesOf(x.shape, attrs['axis'])
      const factor = factorOf(axes.reduce((count, axis) => count * x.shape[axis]!, 1))
      const reduction = reductionOf(x.shape, axes)
      // A gradient of this gradient needs operations that are differentiable themselves.
      const isFused = hasKernel('XSpread') && reduction !== null && gradient.dtype === 'float32' && !isRecording()
      return {
        x: () => {
          if (isFused) {
            const attributes = { shape: x.shape, reduction: [...reduction], factor }
            return tf.engine().runKernel('XSpread', { dy: gradient }, attributes)
          }
          const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
          return tf.mul(tf.mul(tf.reshape(gradient, kept), factor), tf.ones(x.shape))
        },
      }
    },
  })
}
