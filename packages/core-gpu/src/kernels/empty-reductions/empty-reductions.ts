import * as tf from '@tensorflow/tfjs-core'
import { replaceKernel } from '../registry.ts'

// What is left when there is nothing to reduce.
const neutral: Record<string, number> = { [tf.All]: 1, [tf.Any]: 0, [tf.Prod]: 1, [tf.Sum]: 0 }

/** Makes reductions of nothing give the neutral element; tfjs's kernels give anything, or trap. */
export function fillEmptyReductions(backendName: string): void {
  for (const [kernelName, value] of Object.entries(neutral)) {
    const kernel = tf.getKernel(kernelName, backendName)
    if (!kernel) continue
    replaceKernel(backendName, kernelName, (inputs, attributes, backend) => {
      const x = inputs['x']!
      if (x.size > 0) return kernel.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
      const axes = tf.util.parseAxisParam((attributes['axis'] ?? null) as number[], x.shape)
      const keepDims = attributes['keepDims'] === true
      const shape = x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]))
      const dtype = kernelName === tf.Sum && x.dtype === 'bool' ? 'int32' : x.dtype
      return tf.fill(shape, value, dtype as 'float32')
    })
  }
}
