import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'

/** GatherV2 that is right for batches: as one gather of rows. tfjs's wasm kernel leaves out all batches but the first. */
export function batchedGather(backendName: string): Kernel {
  const stock = stockKernel(backendName, tf.GatherV2)
  return (inputs, attributes, backend) => {
    const batchDims = attributes['batchDims'] as number
    if (!batchDims) return stock.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
    const [x, indices] = [inputs['x']!, inputs['indices']!]
    const [axis] = tf.util.parseAxisParam(attributes['axis'] as number, x.shape) as [number]
    const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, axis, batchDims)
    const { batchSize, outerSize, dimSize, sliceSize, outputShape } = info
    return tf.tidy(() => {
      const first = Int32Array.from({ length: batchSize * outerSize }, (_, i) => i * dimSize)
      const places = tf.add(
        tf.reshape(indices, [batchSize, 1, indices.size / batchSize]),
        tf.tensor3d(first, [batchSize, outerSize, 1], 'int32'),
      )
      const rows = tf.reshape(x, [batchSize * outerSize * dimSize, sliceSize])
      return tf.reshape(tf.gather(rows, tf.reshape(places, [-1]) as tf.Tensor1D), outputShape)
    })
  }
}
