import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import type { Attention } from '../attention.ts'
import { LatentProjection } from '../projections/latent-projection.ts'
import { requireGrouped, requireLinear } from './source.ts'

/**
 * The MLA that computes what a GQA computes: the latent is [keys | values] of all groups, and each head selects its own.
 * arXiv 2502.07864, section 3.1; kexue.fm/archives/10091
 *
 * The caches are of the same size. MLA's further freedom is that the selection can be trained.
 * @param source mha, gqa or mqa without bias, norms or turning positions; it stays as it is
 * @throws TypeError when the source has what latents have no place for
 */
export function gqaToMla(source: Attention): Attention {
  requireGrouped(source)
  requireLinear(source)
  const { dim, heads, groups, keyWidth, valueWidth, q, k, v } = source.projection
  const rank = groups * (keyWidth + valueWidth)
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
  const width = keyWidth + valueWidth
  const selection = new Float32Array(heads * width * rank) // [h (d + dv), rank]
  for (let row = 0; row < heads * width; row++) {
    const [group, place] = [Math.floor((Math.floor(row / width) * groups) / heads), row % width]
    const column = place < keyWidth ? group * keyWidth + place : groups * keyWidth + group * valueWidth + place - keyWidth // prettier-ignore
    selection[row * rank + column] = 1
  }
  tf.tidy(() =>
    projection.load({
      'q.weight': q.state()['weight']!,
      'kvDown.weight': tf.concat([k.weight, v.weight] as tf.Tensor[], 0),
      'kvUp.weight': tf.tensor2d(selection, [heads * width, rank]),
    }),
  )
  return source.withProjection(projection)
}
