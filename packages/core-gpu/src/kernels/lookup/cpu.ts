import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

/** XGatherRows over typed arrays. */
export const gatherRowsCpu: Kernel = ({ table, ids }, { fill }, backend) => {
  const [rows, ...inner] = table!.shape
  const d = tf.util.sizeFromShape(inner)
  const from = values(backend, table!)
  const picks = values(backend, ids!)
  const out = new Float32Array(picks.length * d)
  picks.forEach((id, i) => {
    if (id >= 0 && id < rows!) out.set((from as Float32Array).subarray(id * d, id * d + d), i * d)
    else out.fill(fill as number, i * d, i * d + d)
  })
  return makeOutput(backend, [picks.length, ...inner], 'float32', out)
}
