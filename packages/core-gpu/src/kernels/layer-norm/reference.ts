import type * as tf from '@tensorflow/tfjs-core'
import { type NormParameters, scaleAndShift } from '../fused-norm.ts'
import { standardise } from '../standardise.ts'

/** Layer normalisation in plain operations. */
export function layerNormReference(x: tf.Tensor, parameters: NormParameters, epsilon: number): tf.Tensor {
  return scaleAndShift(standardise(x, [-1], epsilon).normalised, parameters)
}
