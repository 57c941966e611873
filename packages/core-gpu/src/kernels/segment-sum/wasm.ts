import * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'

/** UnsortedSegmentSum of float32 rows. */
export function segmentSumWasm(pack: Pack, x: tf.TensorInfo, ids: tf.TensorInfo, count: number): tf.TensorInfo {
  const [n, ...inner] = x.shape as [number, ...number[]]
  const out = pack.output([count, ...inner])
  pack.run.segmentSum(pack.address(x), pack.address(ids), pack.address(out), n, tf.util.sizeFromShape(inner), count)
  return out
}
