import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'

/** UnsortedSegmentSum of float32 rows: each range adds up some of the segments, so that no two write to one. */
export function segmentSumWasm(pack: Pack, x: tf.TensorInfo, ids: tf.TensorInfo, count: number): tf.TensorInfo {
  const [n, ...inner] = x.shape as [number, ...number[]]
  const d = tf.util.sizeFromShape(inner)
  const out = pack.output([count, ...inner])
  // Every range reads all ids: there are few, some for each thread and none for little work.
  const ranges = Math.min(8, Math.ceil((n * d) / grainOf(1, 1)))
  const grain = Math.max(1, Math.ceil(count / Math.max(1, ranges)))
  const addresses = [pack.address(x), pack.address(ids), pack.address(out)]
  pack.parallel('segmentSum', count, grain, 0, ...addresses, n, d)
  return out
}
