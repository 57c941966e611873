import type * as tf from '@tensorflow/tfjs-core'
import { fusedNorm, type NormParameters } from '../fused-norm.ts'
import { layerNormReference } from './reference.ts'

/** What may follow, and `epsilon`, added to the variance (default 1e-5). */
export interface LayerNormSettings extends NormParameters {
  readonly epsilon?: number
}

/**
 * Standardises each vector along the last dimension, then scales and shifts it (arXiv 1607.06450).
 *
 * Differentiable towards x, scale and offset. Kernels, where the backend has them: XLayerNorm gives y, mean and
 * inverseDeviation [rows]; XLayerNormGradient takes them back.
 * @param x float32 [..., d]
 * @returns the same shape
 * @throws TypeError, RangeError when x is no such tensor, or scale or offset is not [d]
 */
export function layerNorm(x: tf.Tensor, settings: LayerNormSettings = {}): tf.Tensor {
  const { scale = null, offset = null, epsilon = 1e-5 } = settings
  return fusedNorm(
    x,
    { scale, offset },
    {
      kernelName: 'XLayerNorm',
      statistics: ['mean', 'inverseDeviation'],
      attributes: { epsilon },
      reference: (input, parameters) => layerNormReference(input, parameters, epsilon),
    },
  )
}
