import type * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireInteger, requireTensor } from '../../validation/validation.ts'
import { fusedNorm, type NormParameters } from '../fused-norm.ts'
import { groupNormReference } from './reference.ts'

/** What may follow, and `epsilon`, added to the variance (default 1e-5). */
export interface GroupNormSettings extends NormParameters {
  readonly epsilon?: number
}

/**
 * Standardises groups of channels over all positions of one sample, then scales and shifts each channel
 * (arXiv 1803.08494).
 *
 * Differentiable towards x, scale and offset. Kernels, where the backend has them, with the attributes `groups` and
 * `epsilon`: XGroupNorm gives y, mean and inverseDeviation [B, groups]; XGroupNormGradient takes them back.
 * @param x float32 [B, ..., C]
 * @param groups of C / groups channels that follow one another
 * @returns the same shape
 * @throws TypeError, RangeError when x is no such tensor, C no multiple of `groups`, or scale or offset is not [C]
 */
export function groupNorm(x: tf.Tensor, groups: number, settings: GroupNormSettings = {}): tf.Tensor {
  requireTensor('x', x)
  requireInteger('groups', groups, 1)
  if (x.rank < 2) throw new RangeError(`x: expected shape [B, ..., C], got ${describeShape(x.shape)}`)
  if (x.shape.at(-1)! % groups !== 0)
    throw new RangeError(`x: expected channels in a multiple of groups (${groups}), got ${describeShape(x.shape)}`)
  const { scale = null, offset = null, epsilon = 1e-5 } = settings
  return fusedNorm(
    x,
    { scale, offset },
    {
      kernelName: 'XGroupNorm',
      statistics: ['mean', 'inverseDeviation'],
      attributes: { groups, epsilon },
      reference: (input, parameters) => groupNormReference(input, groups, parameters, epsilon),
    },
  )
}
