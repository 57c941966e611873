import type * as tf from '@tensorflow/tfjs-core'
import type { Schedule } from './schedules.ts'

/** Changes parameters by their gradients, and remembers what it needs to go on after a restart. */
export interface Optimizer {
  /** Updates every parameter that has a gradient; gradients stay the caller's. */
  step(parameters: Record<string, tf.Variable>, gradients: Record<string, tf.Tensor>): void
  /** Everything that must be saved; the live tensors, not copies. */
  state(): Record<string, tf.Tensor>
  /**
   * Takes a saved state over, in place of its own.
   * @throws RangeError for an unknown or missing entry
   */
  load(state: Record<string, tf.Tensor>): void
  dispose(): void
}

/** The learning rate at a step, counted from 0. */
export function learningRateAt(learningRate: number | Schedule, step: number): number {
  const rate = typeof learningRate === 'function' ? learningRate(step) : learningRate
  if (!Number.isFinite(rate) || rate < 0)
    throw new RangeError(`learningRate: expected a finite number >= 0, got ${rate} at step ${step}`)
  return rate
}

/**
 * Refuses gradients that fit no parameter.
 * @throws RangeError naming the path
 */
export function requireKnownPaths(parameters: Record<string, tf.Variable>, gradients: Record<string, tf.Tensor>): void {
  for (const path of Object.keys(gradients))
    if (!Object.hasOwn(parameters, path)) throw new RangeError(`gradients: "${path}" is no parameter`)
}
