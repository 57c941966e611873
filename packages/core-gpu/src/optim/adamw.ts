import type * as tf from '@tensorflow/tfjs-core'
import { adamwSteps } from '../kernels/adamw/adamw.ts'
import { learningRateAt, type Optimizer, requireKnownPaths } from './optimizer.ts'
import type { Schedule } from './schedules.ts'
import { Slots } from './slots.ts'

export interface AdamWOptions {
  readonly learningRate: number | Schedule
  /** decay of the first moment, in [0, 1); default 0.9 */
  readonly beta1?: number
  /** decay of the second moment, in [0, 1); default 0.999 */
  readonly beta2?: number
  /** added to the root of the second moment; default 1e-8 */
  readonly epsilon?: number
  /** share of the parameter that is taken away per unit of learning rate; default 0.01 */
  readonly weightDecay?: number
  /** which parameters decay; default: all */
  readonly decay?: (path: string, parameter: tf.Variable) => boolean
}

/** Adam with decoupled weight decay (arXiv 1711.05101), step for step as in PyTorch. */
export class AdamW implements Optimizer {
  readonly #options: Required<AdamWOptions>
  readonly #slots = new Slots(['firstMoment', 'secondMoment'])

  /** @throws RangeError when a number is out of range */
  constructor(options: AdamWOptions) {
    const defaults = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, decay: () => true }
    this.#options = { ...defaults, ...options }
    const { learningRate, beta1, beta2, epsilon, weightDecay } = this.#options
    learningRateAt(learningRate, 0)
    for (const [name, beta] of Object.entries({ beta1, beta2 }))
      if (!(beta >= 0 && beta < 1)) throw new RangeError(`${name}: expected a number in [0, 1), got ${beta}`)
    for (const [name, value] of Object.entries({ epsilon, weightDecay }))
      if (!(value >= 0)) throw new RangeError(`${name}: expected a number >= 0, got ${value}`)
  }

  step(parameters: Record<string, tf.Variable>, gradients: Record<string, tf.Tensor>): void {
    requireKnownPaths(parameters, gradients)
    const { beta1, beta2, epsilon, weightDecay, decay } = this.#options
    const learningRate = learningRateAt(this.#options.learningRate, this.#slots.step.value)
    this.#slots.step.increment()
    const updates = Object.entries(gradients).map(([path, gradient]) => {
      const parameter = parameters[path]!
      const { updates, moments } = this.#slots.of(path, parameter)
      const options = {
        learningRate,
        beta1,
        beta2,
        epsilon,
        weightDecay: decay(path, parameter) ? weightDecay : 0,
        step: updates.increment(),
      }
      return { state: { parameter, gradient, ...moments }, options }
    })
    adamwSteps(updates)
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
