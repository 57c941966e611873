import * as tf from '@tensorflow/tfjs-core'
import { describeShape, type Key } from '@x/core-gpu'

/**
 * Standard normal noise of which sample i depends on the key and i alone, so that it is the same in any batch.
 * @param shape `[B, ...]`
 * @throws RangeError for a shape without a batch
 */
export function sampleNoise(key: Key, shape: readonly number[]): tf.Tensor {
  if (shape.length === 0) throw new RangeError(`shape: expected [B, ...], got ${describeShape(shape)}`)
  const [batch, ...rest] = shape as [number, ...number[]]
  if (batch === 0) return tf.zeros([...shape])
  return tf.tidy(() => tf.stack(Array.from({ length: batch }, (_, i) => key.fold(i).normal(rest))))
}
