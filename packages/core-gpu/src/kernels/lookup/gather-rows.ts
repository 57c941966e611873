import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { hasKernel } from '../registry.ts'
import { gatherRowsReference } from './reference.ts'

/** Rows of `table` [K, ...] by `ids` [N], `fill` for ids outside; unknown to differentiation. */
export function gatherRows(table: tf.Tensor, ids: tf.Tensor1D, fill: number): tf.Tensor {
  if (ids.size === 0) return tf.zeros([0, ...table.shape.slice(1)])
  if (!hasKernel('XGatherRows')) return tf.tidy(() => gatherRowsReference(stopGradient(table), ids, fill))
  return tf.engine().runKernel('XGatherRows', { table, ids }, { fill })
}
