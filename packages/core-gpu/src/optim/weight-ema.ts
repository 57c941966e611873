import * as tf from '@tensorflow/tfjs-core'
import type { Module } from '../module/module.ts'
import { describeShape } from '../validation/validation.ts'
import { Counter } from './counter.ts'

export interface WeightEmaOptions {
  /** share of the average that is kept per update, in [0, 1] */
  readonly decay: number
  /** whether to average over less at first: the decay is at most (1 + updates) / (10 + updates); default false */
  readonly warmup?: boolean
}

/**
 * An exponential moving average of a module's parameters.
 *
 * Buffers, such as running statistics, are averages already and stay the module's own.
 */
export class WeightEma {
  readonly #parameters: Record<string, tf.Variable>
  readonly #average: Record<string, tf.Variable>
  readonly #updates = new Counter()
  readonly #decay: number
  readonly #warmup: boolean
  #applied = false

  /** @throws RangeError when `decay` is not in [0, 1] */
  constructor(module: Module, options: WeightEmaOptions) {
    const { decay, warmup = false } = options
    if (!(decay >= 0 && decay <= 1)) throw new RangeError(`decay: expected a number from 0 to 1, got ${decay}`)
    this.#decay = decay
    this.#warmup = warmup
    this.#parameters = module.parameters()
    this.#average = Object.fromEntries(
      // Real copies: an optimizer may write into a parameter's memory.
      Object.entries(this.#parameters).map(([path, p]) => [path, tf.tidy(() => tf.variable(tf.add(p, 0), false))]),
    )
  }

  /**
   * Moves the average towards the parameters as they are now.
   * @throws Error while the average is applied
   */
  update(): void {
    if (this.#applied) throw new Error('update: the averaged weights are applied; update after that has ended')
    const seen = this.#updates.increment()
    const decay = this.#warmup ? Math.min(this.#decay, (1 + seen) / (10 + seen)) : this.#decay
    tf.tidy(() => {
      for (const [path, average] of Object.entries(this.#average))
        average.assign(tf.add(average, tf.mul(tf.sub(this.#parameters[path]!, average), 1 - decay)))
    })
  }

  /**
   * Runs a function while the module has the averaged weights; its own come back afterwards, whatever happens.
   * @returns what the function returns; a promise is waited for
   * @throws Error when called inside itself
   */
  apply<T>(run: () => T): T {
    if (this.#applied) throw new Error('apply: the averaged weights are applied already')
    this.#swap()
    let result: T
    try {
      result = run()
    } catch (error) {
      this.#swap()
      throw error
    }
    if (result instanceof Promise) return result.finally(() => this.#swap()) as T
    this.#swap()
    return result
  }

  /** The averages by path and the count of updates; the live tensors, not copies. */
  state(): Record<string, tf.Tensor> {
    const averages = Object.entries(this.#average).map(([path, average]) => [`average.${path}`, average] as const)
    return { updates: this.#updates.tensor(), ...Object.fromEntries(averages) }
  }

  /** @throws RangeError for a missing, unknown or wrongly shaped entry */
  load(state: Record<string, tf.Tensor>): void {
    const own = this.state()
    for (const name of Object.keys(state))
      if (!Object.hasOwn(own, name)) throw new RangeError(`state: unknown entry "${name}"`)
    for (const [name, { shape }] of Object.entries(own)) {
      const source = state[name]
      if (!source) throw new RangeError(`state: entry "${name}" is missing`)
      if (!tf.util.arraysEqual(source.shape, shape))
        throw new RangeError(
          `state: entry "${name}" has shape ${describeShape(source.shape)}, expected ${describeShape(shape)}`,
        )
    }
    this.#updates.load(state.updates!)
    tf.tidy(() => {
      for (const [path, average] of Object.entries(this.#average))
        average.assign(tf.cast(state[`average.${path}`]!, 'float32'))
    })
  }

  dispose(): void {
    tf.dispose(this.#average)
    this.#updates.dispose()
  }

  /** Exchanges the two sets of weights; nothing is copied. */
  #swap(): void {
    this.#applied = !this.#applied
    for (const [path, parameter] of Object.entries(this.#parameters)) {
      const average = this.#average[path]!
      const [trained, averaged] = [tf.clone(parameter), tf.clone(average)]
      parameter.assign(averaged)
      average.assign(trained)
      tf.dispose([trained, averaged])
    }
  }
}
