import * as tf from '@tensorflow/tfjs-core'
import type { Pack } from '../pack.ts'

/** XGatherRows: rows of table [count, ...] by ids [n]. */
export function gatherRowsWasm(pack: Pack, table: tf.TensorInfo, ids: tf.TensorInfo, fill: number): tf.TensorInfo {
  const [count, ...inner] = table.shape as [number, ...number[]]
  const n = ids.shape[0]!
  const out = pack.output([n, ...inner])
  pack.run.gatherRows(
    pack.address(table),
    pack.address(ids),
    pack.address(out),
    n,
    tf.util.sizeFromShape(inner),
    count,
    fill,
  )
  return out
}
