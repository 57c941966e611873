import * as tf from '@tensorflow/tfjs-core'
import { isRecording } from '../../autodiff/is-recording.ts'
import { hasKernel } from '../registry.ts'
import { type Composed, references } from './reference.ts'

/**
 * An activation function that TensorFlow.js has as a composition only: by one kernel where the backend has it.
 *
 * Kernels: XActivation gives y of x, XActivationGradient dx of x and dy, both by the attribute `name`.
 * @param x float32, any shape
 */
export function activation(name: Composed, x: tf.Tensor): tf.Tensor {
  const reference = references[name]
  if (x.size === 0 || x.dtype !== 'float32' || !hasKernel('XActivation')) return tf.tidy(() => reference(x))
  const differentiable = tf.customGrad((input, save) => {
    const tensor = input as tf.Tensor
    ;(save as (tensors: tf.Tensor[]) => void)([tensor])
    return {
      value: tf.engine().runKernel('XActivation', { x: tensor }, { name }) as tf.Tensor,
      gradFunc: (dy, saved) => {
        const own = saved[0]!
        // A gradient of this gradient needs operations that are differentiable themselves.
        if (isRecording()) return tf.grad(reference)(own, dy)
        return tf.engine().runKernel('XActivationGradient', { x: own, dy: dy as tf.Tensor }, { name }) as tf.Tensor
      },
    }
  })
  return differentiable(x)
}
