import * as tf from '@tensorflow/tfjs-core'
import { key, requireInteger } from '@x/core-gpu'
import type { Attention } from '../attention.ts'
import { LatentProjection } from '../projections/latent-projection.ts'
import { singularValues } from './singular-values.ts'
import { requireGrouped, requireLinear } from './source.ts'

export interface MhaToMlaOptions {
  /** width of the latent; at most that of all keys and values together */
  readonly rank: number
}

/** An attention over latents, and what it lost. */
export interface LowRankAttention {
  readonly attention: Attention
  /** of [keys | values] of all heads, descending, in float64 */
  readonly singularValues: Float64Array
  /** root of the sum of the squares of those that were left out */
  readonly error: number
}

/**
 * An MLA to be trained further, of the best approximation of a rank to [keys | values] of all heads. arXiv 2502.14837
 *
 * With the full rank it computes what the source does. Half of each singular value's root goes to either factor.
 * @param source mha, gqa or mqa without bias, norms or turning positions; it stays as it is
 * @throws TypeError when the source has what latents have no place for
 * @throws RangeError when the rank is out of range
 */
export async function mhaToMla(source: Attention, { rank }: MhaToMlaOptions): Promise<LowRankAttention> {
  requireGrouped(source)
  requireLinear(source)
  requireInteger('rank', rank, 1)
  const { dim, heads, groups, keyWidth, valueWidth, q, k, v } = source.projection
  const columns = groups * (keyWidth + valueWidth)
  const most = Math.min(dim, columns)
  if (rank > most) throw new RangeError(`rank: expected at most ${most}, got ${rank}`)
  const [keys, values] = (await Promise.all([k.weight.data(), v.weight.data()])) as [Float32Array, Float32Array]
  const joint = new Float64Array(columns * dim) // [columns, D]: rows of weights
  joint.set(keys)
  joint.set(values, keys.length)
  const found = singularValues(joint, columns, dim)
  const root = (r: number): number => Math.sqrt(found.s[r]!)
  const width = keyWidth + valueWidth
  const down = Float32Array.from({ length: rank * dim }, (_, at) => {
    const [r, column] = [Math.floor(at / dim), at % dim]
    return found.v[column * found.rank + r]! * root(r)
  })
  const up = Float32Array.from({ length: heads * width * rank }, (_, at) => {
    const [row, r] = [Math.floor(at / rank), at % rank]
    const [group, place] = [Math.floor((Math.floor(row / width) * groups) / heads), row % width]
    const from = place < keyWidth ? group * keyWidth + place : groups * keyWidth + group * valueWidth + place - keyWidth
    return found.u[from * found.rank + r]! * root(r)
  })
  const projection = new LatentProjection({
    dim,
    heads,
    rank,
    groups: 1,
    queryRank: 0,
    nopeDim: keyWidth,
    ropeDim: 0,
    valueDim: valueWidth,
    latentNorm: false,
    normEpsilon: 0,
    path: 'auto',
    key: key(0),
  })
  tf.tidy(() =>
    projection.load({
      'q.weight': q.state()['weight']!,
      'kvDown.weight': tf.tensor2d(down, [rank, dim]),
      'kvUp.weight': tf.tensor2d(up, [heads * width, rank]),
    }),
  )
  return {
    attention: source.withProjection(projection),
    singularValues: found.s,
    error: Math.sqrt(found.s.slice(rank).reduce((sum, value) => sum + value * value, 0)),
  }
}
