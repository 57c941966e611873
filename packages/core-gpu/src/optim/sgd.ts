import * as tf from '@tensorflow/tfjs-core'
import { requireShape } from '../validation/validation.ts'
import { learningRateAt, type Optimizer, requireKnownPaths } from './optimizer.ts'
import type { Schedule } from './schedules.ts'
import { Slots } from './slots.ts'

export interface SgdOptions {
  readonly learningRate: number | Schedule
  /** share of the last update that is kept, in [0, 1); default 0 */
  readonly momentum?: number
  /** whether to look one momentum step ahead; default false */
  readonly nesterov?: boolean
  /** added to the gradient, times the parameter; default 0 */
  readonly weightDecay?: number
}

/** Stochastic gradient descent with momentum, step for step as in PyTorch. */
export class Sgd implements Optimizer {
  readonly #options: Required<SgdOptions>
  readonly #slots = new Slots(['momentum'])

  /** @throws RangeError when a number is out of range, or Nesterov is asked for without momentum */
  constructor(options: SgdOptions) {
    this.#options = { momentum: 0, nesterov: false, weightDecay: 0, ...options }
    const { learningRate, momentum, nesterov, weightDecay } = this.#options
    learningRateAt(learningRate, 0)
    if (!(momentum >= 0 && momentum < 1)) throw new RangeError(`momentum: expected a number in [0, 1), got ${momentum}`)
    if (nesterov && momentum === 0) throw new RangeError('nesterov: needs momentum > 0, got 0')
    if (!(weightDecay >= 0)) throw new RangeError(`weightDecay: expected a number >= 0, got ${weightDecay}`)
  }

  step(parameters: Record<string, tf.Variable>, gradients: Record<string, tf.Tensor>): void {
    requireKnownPaths(parameters, gradients)
    const learningRate = learningRateAt(this.#options.learningRate, this.#slots.step.value)
    this.#slots.step.increment()
    for (const [path, gradient] of Object.entries(gradients)) {
      const parameter = parameters[path]!
      requireShape('gradient', gradient, parameter.shape)
      tf.tidy(() => {
        const direction = this.#direction(path, parameter, gradient)
        parameter.assign(tf.sub(parameter, tf.mul(direction, learningRate)))
      })
    }
  }

  #direction(path: string, parameter: tf.Variable, gradient: tf.Tensor): tf.Tensor {
    const { momentum, nesterov, weightDecay } = this.#options
    const decayed = weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(parameter, weightDecay))
    if (momentum === 0) return decayed
    const { updates, moments } = this.#slots.of(path, parameter)
    const velocity = updates.value === 0 ? tf.clone(decayed) : tf.add(tf.mul(moments.momentum, momentum), decayed)
    moments.momentum.assign(velocity)
    updates.increment()
    return nesterov ? tf.add(decayed, tf.mul(velocity, momentum)) : velocity
  }

  state(): Record<string, tf.Tensor> {
    return this.#slots.state()
  }

  load(state: Record<string, tf.Tensor>): void {
    this.#slots.load(state)
  }

  dispose(): void {
    this.#slots.dispose()
  }
}
