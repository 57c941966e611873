import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'

/** ScatterNd or TensorScatterUpdate that also knows what to do without updates; tfjs's webgpu kernels give anything. */
export function withoutUpdates(backendName: string, kernelName: string): Kernel {
  const stock = stockKernel(backendName, kernelName)
  return (inputs, attributes, backend) => {
    const { tensor, updates } = inputs
    if (updates!.size > 0) return stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
    return tensor ? tf.clone(tensor) : tf.zeros(attributes['shape'] as number[], updates!.dtype)
  }
}
