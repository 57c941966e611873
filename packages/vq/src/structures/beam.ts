import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import type { Quantizer } from '../quantizer.ts'

/**
 * Chooses the codes of all layers together: vectors `[..., d]`, without a gradient, to each layer's indices, int32 `[...]`;
 * undefined where each layer shall choose for itself.
 */
export type CodeSearch = (z: tf.Tensor, layers: readonly Quantizer[], training: boolean) => tf.Tensor[] | undefined

export interface BeamOptions {
  /** how many partial sums are kept in training; default 1: each layer takes its nearest code */
  readonly training?: number
  /** outside it; default: as in training */
  readonly evaluation?: number
  /** ranks by the errors after every layer so far, weighted and added; default: by the error that is left */
  readonly weights?: readonly number[]
}

/**
 * Keeps the best partial sums of codes from layer to layer, instead of the nearest code each time.
 * @param beam how many are kept, or how many in training and outside it
 * @throws RangeError for a width below 1; on use also for layers that do not list their nearest codes, or other numbers of
 * weights than layers
 */
export function beamSearch(beam: number | BeamOptions): CodeSearch {
  const { training: usual = 1, evaluation = usual, weights } = typeof beam === 'number' ? { training: beam } : beam
  requireInteger('beam', usual, 1)
  requireInteger('beam', evaluation, 1)
  return (z, layers, training) => {
    const width = training ? usual : evaluation
    if (width === 1) return undefined
    if (layers.some((layer) => !layer.nearestCodes))
      throw new RangeError('beam: needs layers that list their nearest codes, got one that does not')
    if (weights && weights.length < layers.length)
      throw new RangeError(`weights: expected ${layers.length}, one per layer, got ${weights.length}`)
    // Codes that the first batch is still to place cannot be searched.
    if (layers.some((layer) => 'waiting' in layer && layer.waiting === true)) return undefined
    return searchBeam(z, layers, width, weights)
  }
}

/**
 * Finds for each vector a good sum of codes, one of each layer, keeping the `width` best partial sums from layer to layer.
 * @param z `[..., d]`, without a gradient
 * @param weights of the error after each layer, which are then added; without them the error that is left decides
 * @returns each layer's indices, int32 `[...]`
 */
function searchBeam(
  z: tf.Tensor,
  layers: readonly Quantizer[],
  width: number,
  weights: readonly number[] | undefined,
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
