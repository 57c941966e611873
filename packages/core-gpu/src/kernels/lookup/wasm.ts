import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'

/** XGatherRows: rows of table [count, ...] by ids [n]. */
export function gatherRowsWasm(pack: Pack, table: tf.TensorInfo, ids: tf.TensorInfo, fill: number): tf.TensorInfo {
  const [count, ...inner] = table.shape as [number, ...number[]]
  const n = ids.shape[0]!
  const d = tf.util.sizeFromShape(inner)
  const out = pack.output([n, ...inner])
  const addresses = [pack.address(table), pack.address(ids), pack.address(out)]
  pack.parallel('gatherRows', n, grainOf(d, 1), 0, ...addresses, d, count, fill)
  return out
}
