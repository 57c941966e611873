import type * as tf from '@tensorflow/tfjs-core'
import { nearestCode } from '@x/core-gpu'
import type { Step } from '../step.ts'

/** Which code each vector takes: vectors `[N, d]` and codes `[K, d]` to indices int32 `[N]`. */
export type Assignment = (z: tf.Tensor2D, codes: tf.Tensor2D, step: Step) => tf.Tensor1D

/** The code at the smallest Euclidean distance; of several, the first. */
export const nearest = (z: tf.Tensor2D, codes: tf.Tensor2D): tf.Tensor1D => {
  const { indices, distances } = nearestCode(z, codes)
  distances.dispose()
  return indices
}
