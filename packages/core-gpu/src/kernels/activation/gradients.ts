import * as tf from '@tensorflow/tfjs-core'
import { isRecording } from '../../autodiff/is-recording.ts'
import { hasKernel } from '../registry.ts'

type Plain = (known: tf.Tensor, dy: tf.Tensor) => tf.Tensor

/** Registers gradients of Relu, Sigmoid and Tanh that take the kernel XActivationGradient where there is one. */
export function registerActivationGradients(): void {
  register(tf.Relu, 'relu', { inputsToSave: ['x'] }, (x, dy) => tf.mul(dy, tf.step(x)))
  register(tf.Sigmoid, 'sigmoid', { outputsToSave: [true] }, (y, dy) => tf.mul(dy, tf.mul(y, tf.sub(1, y))))
  register(tf.Tanh, 'tanh', { outputsToSave: [true] }, (y, dy) => tf.mul(tf.sub(1, tf.square(y)), dy))
}

function register(kernelName: string, name: string, saves: Partial<tf.GradConfig>, plain: Plain): void {
  tf.registerGradient({
    ...saves,
    kernelName,
    gradFunc: (dy, saved) => {
      const [known, gradient] = [saved[0]!, dy as tf.Tensor]
      // A gradient of this gradient needs operations that are differentiable themselves.
      const isFused = hasKernel('XActivationGradient') && known.dtype === 'float32' && !isRecording()
      return {
        x: () =>
          isFused
            ? tf.engine().runKernel('XActivationGradient', { x: known, dy: gradient }, { name })
            : plain(known, gradient),
      }
    },
  })
}
