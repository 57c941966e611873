import * as tf from '@tensorflow/tfjs-core'
import { type NormParameters, scaleAndShift } from '../fused-norm.ts'

/** Root mean square normalisation in plain operations. */
export function rmsNormReference(x: tf.Tensor, parameters: NormParameters, epsilon: number): tf.Tensor {
  const meanSquare = tf.mean(tf.square(x), -1, true) // [..., 1]
  return scaleAndShift(tf.mul(x, tf.rsqrt(tf.add(meanSquare, epsilon))), parameters)
}
