import * as tf from '@tensorflow/tfjs-core'
import type { RotaryAttributes, RotaryTables } from './rope.ts'

/** The rotation in plain operations. */
export function rotaryReference(
  x: tf.Tensor,
  { cos, sin }: RotaryTables,
  { interleaved, start, direction }: RotaryAttributes,
): tf.Tensor {
  const d = x.shape.at(-1)!
  const pairs = cos.shape[1]
  const [before, turning, after] = tf.split(x, [start, 2 * pairs, d - start - 2 * pairs], -1)
  const outer = x.shape.slice(0, -1)
  const axis = interleaved ? x.rank : x.rank - 1 // of the two of a pair
  const paired = tf.reshape(turning!, interleaved ? [...outer, pairs, 2] : [...outer, 2, pairs])
  const [a, b] = tf.unstack(paired, axis) as [tf.Tensor, tf.Tensor] // [..., L, pairs]
  const sine = tf.mul(sin, direction)
  const turned = tf.stack([tf.sub(tf.mul(a, cos), tf.mul(b, sine)), tf.add(tf.mul(a, sine), tf.mul(b, cos))], axis)
  return tf.concat([before!, tf.reshape(turned, [...outer, 2 * pairs]), after!], -1)
}
