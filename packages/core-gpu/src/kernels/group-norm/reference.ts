import * as tf from '@tensorflow/tfjs-core'
import { type NormParameters, scaleAndShift } from '../fused-norm.ts'
import { standardise } from '../standardise.ts'

/** Group normalisation in plain operations. */
export function groupNormReference(
  x: tf.Tensor,
  groups: number,
  parameters: NormParameters,
  epsilon: number,
): tf.Tensor {
  const channels = x.shape.at(-1)!
  const positions = tf.util.sizeFromShape(x.shape.slice(1, -1))
  const grouped = tf.reshape(x, [x.shape[0]!, positions, groups, channels / groups])
  return scaleAndShift(tf.reshape(standardise(grouped, [1, 3], epsilon).normalised, x.shape), parameters)
}
