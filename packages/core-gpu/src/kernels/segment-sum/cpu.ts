import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeOutput, values } from '../typed-arrays.ts'

/** UnsortedSegmentSum as a scatter-add; the stock kernel compares every row with every segment. */
export const segmentSumCpu: Kernel = ({ x, segmentIds }, { numSegments }, backend) => {
  const count = numSegments as number
  const inner = x!.shape.slice(1)
  const d = tf.util.sizeFromShape(inner)
  const from = values(backend, x!)
  const ids = values(backend, segmentIds!)
  const sums = x!.dtype === 'int32' ? new Int32Array(count * d) : new Float32Array(count * d)
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!
    if (id < 0 || id >= count) continue
    for (let j = 0; j < d; j++) sums[id * d + j]! += from[i * d + j]!
  }
  return makeOutput(backend, [count, ...inner], x!.dtype, sums)
}
