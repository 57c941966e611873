import * as tf from '@tensorflow/tfjs-core'
import { canReadSync, describeValue, lookup, requireTensor } from '@x/core-gpu'

/**
 * Refuses what cannot be indices of a codebook; the range is checked on backends that can be read synchronously.
 * @throws TypeError when the tensor is not int32
 * @throws RangeError for an index below -1 or beyond the codebook
 */
export function requireIndices(name: string, indices: tf.Tensor, codebookSize: number): void {
  requireTensor(name, indices)
  if (indices.dtype !== 'int32') throw new TypeError(`${name}: expected an int32 tensor, got ${indices.dtype}`)
  if (!canReadSync() || indices.size === 0) return
  const wrong = indices.dataSync().find((index) => index < -1 || index >= codebookSize)
  if (wrong !== undefined)
    throw new RangeError(`${name}: expected indices from -1 to ${codebookSize - 1}, got ${describeValue(wrong)}`)
}

/**
 * Looks codes up; index -1, a masked vector, gives zeros.
 * @param codes `[K, d]`
 * @param indices int32 `[...]`
 * @returns `[..., d]`
 */
export function decodeRows(codes: tf.Tensor2D, indices: tf.Tensor): tf.Tensor {
  const flat = tf.reshape(indices, [-1]) // [N]
  const found = lookup(codes, tf.maximum(flat, tf.scalar(0, 'int32'))) // [N, d]
  const kept = tf.cast(tf.greaterEqual(flat, tf.scalar(0, 'int32')), 'float32') // [N]
  return tf.reshape(tf.mul(found, tf.expandDims(kept, 1)), [...indices.shape, codes.shape[1]])
}

/**
 * Takes masked vectors out of a quantization: zeros for their codes, -1 for their indices.
 * @param quantized `[..., d]`
 * @param indices int32, `[...]` or `[..., c]`
 * @param mask `[...]`, 1 or true where a vector counts; undefined when all do
 */
export function hideMasked(
  quantized: tf.Tensor,
  indices: tf.Tensor,
  mask: tf.Tensor | undefined,
): { quantized: tf.Tensor; indices: tf.Tensor } {
  if (!mask) return { quantized, indices }
  const one = tf.scalar(1, 'int32')
  const kept = tf.reshape(mask, [-1, 1]) // [N, 1]
  // Row by row: WebGPU repeats nothing along the last of five dimensions.
  const rows = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [mask.size, x.rank > mask.rank ? x.shape.at(-1)! : 1])
  return {
    quantized: tf.reshape(tf.mul(rows(quantized), tf.cast(kept, 'float32')), quantized.shape),
    indices: tf.reshape(tf.sub(tf.mul(tf.add(rows(indices), one), tf.cast(kept, 'int32')), one), indices.shape),
  }
}
