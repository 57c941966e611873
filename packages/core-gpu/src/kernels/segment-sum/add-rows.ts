import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { hasKernel } from '../registry.ts'
import { segmentSumReference } from './reference.ts'

/** The sum by segment, unknown to differentiation. */
export function addRows(x: tf.Tensor, ids: tf.Tensor1D, count: number): tf.Tensor {
  if (x.size === 0) return tf.zeros([count, ...x.shape.slice(1)], x.dtype)
  if (!hasKernel(tf.UnsortedSegmentSum)) return tf.tidy(() => segmentSumReference(stopGradient(x), ids, count))
  return tf.engine().runKernel(tf.UnsortedSegmentSum, { x, segmentIds: ids }, { numSegments: count })
}
