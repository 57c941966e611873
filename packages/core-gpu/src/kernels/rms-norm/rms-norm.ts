import type * as tf from '@tensorflow/tfjs-core'
import { fusedNorm } from '../fused-norm.ts'
import { rmsNormReference } from './reference.ts'

/** What may follow, and `epsilon`, added to the mean square (default 1e-6). */
export interface RmsNormSettings {
  /** [d]; default null */
  readonly scale?: tf.Tensor | null
  readonly epsilon?: number
}

/**
 * Divides each vector along the last dimension by its root mean square, then scales it (arXiv 1910.07467).
 *
 * Differentiable towards x and scale. Kernels, where the backend has them: XRmsNorm gives y and inverseRms [rows];
 * XRmsNormGradient takes it back, and gives dx and, if `affine`, dScale.
 * @param x float32 [..., d]
 * @returns the same shape
 * @throws TypeError, RangeError when x is no such tensor, or scale is not [d]
 */
export function rmsNorm(x: tf.Tensor, settings: RmsNormSettings = {}): tf.Tensor {
  const { scale = null, epsilon = 1e-6 } = settings
  return fusedNorm(
    x,
    { scale },
    {
      kernelName: 'XRmsNorm',
      statistics: ['inverseRms'],
      attributes: { epsilon },
      reference: (input, parameters) => rmsNormReference(input, parameters, epsilon),
    },
  )
}
