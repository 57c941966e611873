import * as tf from '@tensorflow/tfjs-core'
import type { Operation } from '../operations.ts'

/** A B, each operand as it is or transposed in memory. */
export const matmul: Operation = (form, { batch = 1, m = 1, k = 1, n = 1 }, draw) => {
  const transposeA = form === 'a-transposed' || form === 'both-transposed'
  const transposeB = form === 'b-transposed' || form === 'both-transposed'
  const lead = batch === 1 ? [] : [batch]
  const a = draw(...lead, ...(transposeA ? [k, m] : [m, k]))
  const b = draw(...lead, ...(transposeB ? [n, k] : [k, n]))
  return () => tf.matMul(a, b, transposeA, transposeB)
}
