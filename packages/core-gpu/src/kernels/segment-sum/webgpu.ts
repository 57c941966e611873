import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import { withoutOutside } from './reference.ts'

/** UnsortedSegmentSum of tfjs with one segment more, for the ids outside: it would add those to other segments. */
export function segmentSumWebgpu(): Kernel {
  const stock = stockKernel('webgpu', tf.UnsortedSegmentSum)
  return ({ x, segmentIds }, { numSegments }, backend) =>
    tf.tidy(() => {
      if (x!.size === 0) return tf.zeros([numSegments as number, ...x!.shape.slice(1)], x!.dtype)
      const count = numSegments as number
      const inputs = { x: x!, segmentIds: withoutOutside(segmentIds as tf.Tensor1D, count) }
      const sums = stock.kernelFunc({ inputs, attrs: { numSegments: count + 1 }, backend }) as tf.TensorInfo
      return tf.slice(tf.engine().makeTensorFromTensorInfo(sums), 0, count)
    })
}
