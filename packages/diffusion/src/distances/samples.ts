import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireFinite, requireTensor } from '@x/core-gpu'

/**
 * Two sets of samples as rows, `[N, d]` and `[M, d]`; the caller disposes them.
 * @throws RangeError naming the one that is empty, not finite or of another shape
 */
export function asRows(a: tf.Tensor, b: tf.Tensor, least: number = 1): [tf.Tensor2D, tf.Tensor2D] {
  requireSamples('a', a, least)
  requireSamples('b', b, least)
  if (!tf.util.arraysEqual(a.shape.slice(1), b.shape.slice(1)))
    throw new RangeError(
      `b: expected samples of shape ${describeShape(a.shape.slice(1))}, got ${describeShape(b.shape)}`,
    )
  return [a, b].map((x) => tf.reshape(x, [x.shape[0]!, -1])) as [tf.Tensor2D, tf.Tensor2D]
}

/** @throws RangeError unless there are enough samples `[N, ...]`, all finite */
export function requireSamples(name: string, x: tf.Tensor, least: number): void {
  requireTensor(name, x)
  if (x.rank < 2 || x.shape[0]! < least || x.size === 0)
    throw new RangeError(`${name}: expected at least ${least} samples [N, ...], got ${describeShape(x.shape)}`)
  requireFinite(name, x)
}
