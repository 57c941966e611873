import * as tf from '@tensorflow/tfjs-core'
import type { Quantizer } from '../quantizer.ts'

/**
 * Finds for each vector a good sum of codes, one of each layer, keeping the `width` best partial sums from layer to layer.
 * @param z `[..., d]`, without a gradient
 * @param weights of the error after each layer, which are then added; without them the error that is left decides
 * @returns each layer's indices, int32 `[...]`
 */
export function searchBeam(
  z: tf.Tensor,
  layers: readonly Quantizer[],
  width: number,
  weights?: readonly number[],
): tf.Tensor[] {
  const lead = z.shape.slice(0, -1)
  const d = z.shape.at(-1)!
  const n = tf.util.sizeFromShape(lead)
  const row = tf.expandDims(tf.range(0, n, 1, 'int32'), 1) // [N, 1]
  let residuals = tf.reshape(z, [n, 1, d]) // [N, b, d]
  let scores: tf.Tensor = tf.zeros([n, 1]) // [N, b]
  let picks: tf.Tensor[] = [] // each [N, b]
  layers.forEach((layer, l) => {
    const b = residuals.shape[1]!
    const k = Math.min(width, layer.codebookSize)
    const { quantized, indices } = layer.nearestCodes!(residuals, k) // [N, b, k, d], [N, b, k]
    const left = tf.sub(tf.expandDims(residuals, 2), quantized) // [N, b, k, d]
    const error = tf.mean(tf.square(left), 3) // [N, b, k]
    const score = weights ? tf.add(tf.expandDims(scores, 2), tf.mul(error, weights[l]!)) : error
    const flat = tf.reshape(score, [n, b * k])
    const kept = l === layers.length - 1 ? 1 : Math.min(width, b * k)
    const { indices: best } = tf.topk(tf.neg(flat), kept) // [N, kept]
    const at = tf.add(best, tf.mul(row, tf.scalar(b * k, 'int32'))) // positions in [N b k]
    const parent = tf.floorDiv(at, tf.scalar(k, 'int32')) // positions in [N b]
    const take = (x: tf.Tensor, position: tf.Tensor): tf.Tensor => tf.gather(tf.reshape(x, [-1]), position)
    picks = [...picks.map((pick) => take(pick, parent)), take(indices, at)]
    scores = take(score, at)
    residuals = tf.gather(tf.reshape(left, [-1, d]), at) // [N, kept, d]
  })
  return picks.map((pick) => tf.reshape(pick, lead))
}
