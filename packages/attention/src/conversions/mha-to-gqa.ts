import * as tf from '@tensorflow/tfjs-core'
import { key, Linear, requireInteger } from '@x/core-gpu'
import type { Attention } from '../attention.ts'
import { GroupedProjection } from '../projections/grouped-projection.ts'
import { requireGrouped } from './source.ts'

export interface MhaToGqaOptions {
  /** heads of keys and values that are left; divides those of the source */
  readonly groups: number
}

/**
 * A GQA to be trained further, whose keys and values are the means of those that a group of heads had. arXiv 2305.13245
 *
 * With as many groups as before it is a copy.
 * @param source mha or gqa; it stays as it is
 * @throws TypeError when the source is no such attention
 * @throws RangeError when the groups do not divide the source's
 */
export function mhaToGqa(source: Attention, { groups }: MhaToGqaOptions): Attention {
  requireGrouped(source)
  requireInteger('groups', groups, 1)
  const { projection } = source
  if (projection.groups % groups !== 0)
    throw new RangeError(`groups: expected a divisor of ${projection.groups}, got ${groups}`)
  const made = new GroupedProjection({
    dim: projection.dim,
    contextDim: projection.k.inFeatures,
    heads: projection.heads,
    groups,
    headDim: projection.keyWidth,
    valueDim: projection.valueWidth,
    queryRank: projection.q instanceof Linear ? undefined : (projection.q.state()['0.weight']!.shape[0] as number),
    bias: projection.k.bias !== null,
    qkNorm: projection.qNorm !== null,
    normEpsilon: projection.normEpsilon,
    valueResidual: projection.mix !== null,
    key: key(0),
  })
  tf.tidy(() => {
    const pooled = Object.entries(projection.state()).map(([name, tensor]) => {
      const isPooled = /^[kv]\.(weight|bias)$/.test(name)
      return [name, isPooled ? poolHeads(tensor, projection.groups, groups) : tensor]
    })
    made.load(Object.fromEntries(pooled) as Record<string, tf.Tensor>)
  })
  return source.withProjection(made)
}

/** Means over neighbouring heads: [from * d, ...] gives [to * d, ...]. */
function poolHeads(weight: tf.Tensor, from: number, to: number): tf.Tensor {
  const width = weight.shape[0]! / from
  const rest = weight.shape.slice(1)
  const grouped = tf.reshape(weight, [to, from / to, width * tf.util.sizeFromShape(rest)])
  return tf.reshape(tf.mean(grouped, 1), [to * width, ...rest])
}
