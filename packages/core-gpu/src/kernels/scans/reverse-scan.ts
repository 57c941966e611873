import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel, tensorOf } from '../registry.ts'

/**
 * Running sums or products from the back: over the reversed tensor.
 *
 * tfjs's webgpu shaders for those have the length of the axis in their code and are reused for other lengths.
 */
export function reverseScan(kernelName: string): Kernel {
  const stock = stockKernel('webgpu', kernelName)
  return (inputs, attributes, backend) => {
    const run = (x: tf.Tensor): tf.TensorInfo =>
      stock.kernelFunc({
        inputs: { x },
        attrs: { ...attributes, reverse: false } as tf.NamedAttrMap,
        backend,
      }) as tf.TensorInfo
    if (attributes['reverse'] !== true) return run(inputs['x']!)
    const axis = attributes['axis'] as number
    return tf.tidy(() => tf.reverse(tensorOf(run(tf.reverse(inputs['x']!, axis))), axis))
  }
}
