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

/** One parameter's share of a step. */
export interface AdamWUpdate {
  readonly state: AdamWState
  readonly options: AdamWOptions
}

/**
 * Takes one AdamW step: updates the parameter and both moments, and leaves the gradient.
 *
 * As in PyTorch: weight decay apart from the gradient, both moments corrected for their start at zero, and epsilon added
 * to the root of the corrected second moment (arXiv 1711.05101).
 * @throws RangeError when the shapes differ
 */
export function adamwStep(state: AdamWState, options: AdamWOptions): void {
  adamwSteps([{ state, options }])
}

/**
 * Takes one AdamW step for each of several parameters.
 *
 * Kernels: XAdamW takes one; XAdamWSteps takes all, where calls cost more than the arithmetic of a small parameter.
 * @throws RangeError when the shapes of one differ; then none is updated
 */
export function adamwSteps(updates: readonly AdamWUpdate[]): void {
  for (const { state } of updates) {
    const { parameter, gradient, firstMoment, secondMoment } = state
    requireShape('gradient', gradient, parameter.shape)
    requireShape('firstMoment', firstMoment, parameter.shape)
    requireShape('secondMoment', secondMoment, parameter.shape)
  }
  if (updates.length === 0) return
  if (hasKernel('XAdamWSteps')) return stepTogether(updates)
  for (const { state, options } of updates) stepAlone(state, options)
}

function stepTogether(updates: readonly AdamWUpdate[]): void {
  const all = (name: keyof AdamWState): tf.Tensor[] => updates.map(({ state }) => state[name])
  const inputs = [...all('parameter'), ...all('gradient'), ...all('firstMoment'), ...all('secondMoment')]
  const options = updates.map((update) => update.options)
  const updated = tf
    .engine()
    .runKernel('XAdamWSteps', inputs as unknown as tf.NamedTensorMap, { options } as unknown as tf.NamedAttrMap)
  const variables = [...all('parameter'), ...all('firstMoment'), ...all('secondMoment')] as tf.Variable[]
  assignAll(variables, updated as unknown as tf.Tensor[])
}

function stepAlone(state: AdamWState, options: AdamWOptions): void {
  if (!hasKernel('XAdamW')) return adamwReference(state, options)
  const { parameter, gradient, firstMoment, secondMoment } = state
  const inputs = { parameter, gradient, firstMoment, secondMoment }
  const updated = tf.engine().runKernel('XAdamW', inputs, { ...options }) as unknown as tf.Tensor[]
  assignAll([parameter, firstMoment, secondMoment], updated)
}

function assignAll(variables: readonly tf.Variable[], updated: readonly tf.Tensor[]): void {
  // A kernel gives nothing for what it has updated in place.
  updated.forEach((value, i) => {
    variables[i]!.assign(value)
    value.dispose()
  })
}
