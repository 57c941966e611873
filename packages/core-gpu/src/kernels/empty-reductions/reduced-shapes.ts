import * as tf from '@tensorflow/tfjs-core'
import { replaceKernel, tensorOf } from '../registry.ts'

/** Gives reductions of a single element the shape they should have; tfjs's webgpu kernels hand the element on as it is. */
export function reshapeReductions(): void {
  for (const kernelName of [tf.All, tf.Any, tf.ArgMax, tf.ArgMin, tf.Max, tf.Mean, tf.Min, tf.Prod, tf.Sum]) {
    const kernel = tf.getKernel(kernelName, 'webgpu')
    if (!kernel) continue
    replaceKernel('webgpu', kernelName, (inputs, attributes, backend) => {
      const x = inputs['x']!
      const out = kernel.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend }) as tf.TensorInfo
      const axes = tf.util.parseAxisParam(
        (attributes['axis'] ?? attributes['reductionIndices'] ?? null) as number[],
        x.shape,
      )
      const keepDims = attributes['keepDims'] === true
      const shape = x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]))
      return tf.util.arraysEqual(out.shape, shape) ? out : tf.tidy(() => tf.reshape(tensorOf(out), shape))
    })
  }
}
