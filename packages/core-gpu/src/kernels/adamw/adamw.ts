import * as tf from '@tensorflow/tfjs-core'
import { requireShape } from '../../validation/validation.ts'
import { hasKernel } from '../registry.ts'
import { adamwReference } from './reference.ts'

/** The tensors of one AdamW step, all of one shape. */
export interface AdamWState {
  readonly parameter: tf.Variable
  readonly gradient: tf.Tensor
  readonly firstMoment: tf.Variable
  readonly secondMoment: tf.Variable
}

/** The numbers of one AdamW step. */
export interface AdamWOptions {
  readonly learningRate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** counts from 1 */
  readonly step: number
}

/**
 * Takes one AdamW step: updates the parameter and both moments, and leaves the gradient.
 *
 * As in PyTorch: weight decay apart from the gradient, both moments corrected for their start at zero, and epsilon added
 * to the root of the corrected second moment (arXiv 1711.05101).
 * @throws RangeError when the shapes differ
 */
export function adamwStep(state: AdamWState, options: AdamWOptions): void {
  const { parameter, gradient, firstMoment, secondMoment } = state
  requireShape('gradient', gradient, parameter.shape)
  requireShape('firstMoment', firstMoment, parameter.shape)
  requireShape('secondMoment', secondMoment, parameter.shape)
  if (!hasKernel('XAdamW')) return adamwReference(state, options)
  const inputs = { parameter, gradient, firstMoment, secondMoment }
  const updated = tf.engine().runKernel('XAdamW', inputs, { ...options }) as unknown as tf.Tensor[]
  const variables = [parameter, firstMoment, secondMoment]
  // A kernel gives nothing for what it has updated in place.
  updated.forEach((value, i) => {
    variables[i]!.assign(value)
    value.dispose()
  })
}
