import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

/** XGatherRows: rows of table [count, ...] by ids [n]. */
export const gatherRowsTensorFlow: Kernel = ({ table, ids }, { fill }, backend) => {
  const value = tf.scalar(fill as number)
  const rows = (backend as TensorFlowBackend).executeSingleOutput('XGatherRows', [], [table!, ids!, value])
  value.dispose()
  return rows
}
