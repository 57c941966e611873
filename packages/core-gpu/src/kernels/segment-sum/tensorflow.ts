import * as tf from '@tensorflow/tfjs-core'
import { type Kernel, stockKernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'
import { withoutOutside } from './reference.ts'

/** UnsortedSegmentSum that leaves ids outside out: TensorFlow's refuses those beyond the last segment. */
export function segmentSumTensorFlow(operations: boolean): Kernel {
  const stock = stockKernel('tensorflow', tf.UnsortedSegmentSum)
  return ({ x, segmentIds }, { numSegments }, backend) =>
    tf.tidy(() => {
      const [ids, count] = [segmentIds as tf.Tensor1D, numSegments as number]
      if (operations && x!.dtype === 'float32' && x!.rank > 0 && ids.rank === 1)
        return (backend as TensorFlowBackend).executeSingleOutput(
          'XSegmentSum',
          [],
          [x!, ids, tf.scalar(count, 'int32')],
        )
      const inputs = { x: x!, segmentIds: withoutOutside(ids, count) }
      const sums = stock.kernelFunc({ inputs, attrs: { numSegments: count + 1 }, backend }) as tf.Tensor
      return tf.slice(sums, 0, count)
    })
}
