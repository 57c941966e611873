import * as tf from '@tensorflow/tfjs-core'
import { variable } from '../module/module.ts'
import { describeShape } from '../validation/validation.ts'
import { Counter } from './counter.ts'

/** What an optimizer remembers of one parameter. */
export interface Slot<Name extends string> {
  /** how many updates this parameter has had */
  readonly updates: Counter
  readonly moments: Record<Name, tf.Variable>
}

/**
 * The memory of an optimizer: a step count, and by path (made when first needed) an update count and moments.
 *
 * In the state they are called `step`, `updates.<path>` and `<moment>.<path>`.
 */
export class Slots<Name extends string> {
  readonly step: Counter = new Counter()
  readonly #names: readonly Name[]
  readonly #slots = new Map<string, Slot<Name>>()

  constructor(names: readonly Name[]) {
    this.#names = names
  }

  of(path: string, parameter: tf.Tensor): Slot<Name> {
    const known = this.#slots.get(path)
    if (known) {
      const { shape } = known.moments[this.#names[0]!]
      if (!tf.util.arraysEqual(shape, parameter.shape))
        throw new RangeError(
          `parameters: "${path}" has shape ${describeShape(parameter.shape)}, its moments ${describeShape(shape)}`,
        )
      return known
    }
    const slot = this.#make(() => tf.zeros(parameter.shape))
    this.#slots.set(path, slot)
    return slot
  }

  state(): Record<string, tf.Tensor> {
    const state: Record<string, tf.Tensor> = { step: this.step.tensor() }
    for (const [path, { updates, moments }] of this.#slots) {
      state[`updates.${path}`] = updates.tensor()
      for (const name of this.#names) state[`${name}.${path}`] = moments[name]
    }
    return state
  }

  load(state: Record<string, tf.Tensor>): void {
    const loaded = this.#check(state).map((path) => {
      const slot = this.#make((name) => tf.cast(state[`${name}.${path}`]!, 'float32'))
      slot.updates.load(state[`updates.${path}`]!)
      return [path, slot] as const
    })
    this.step.load(state.step!)
    // Only now: the state may be this one's own.
    this.#forget()
    for (const [path, slot] of loaded) this.#slots.set(path, slot)
  }

  dispose(): void {
    this.#forget()
    this.step.dispose()
  }

  /** @returns the paths for which the state is complete */
  #check(state: Record<string, tf.Tensor>): string[] {
    const paths = Object.keys(state).flatMap((name) =>
      name.startsWith('updates.') ? [name.slice('updates.'.length)] : [],
    )
    const wanted = ['step', ...paths.flatMap((path) => ['updates', ...this.#names].map((name) => `${name}.${path}`))]
    for (const name of wanted) if (!state[name]) throw new RangeError(`state: entry "${name}" is missing`)
    const known = new Set(wanted)
    for (const name of Object.keys(state)) if (!known.has(name)) throw new RangeError(`state: unknown entry "${name}"`)
    return paths
  }

  #make(first: (name: Name) => tf.Tensor): Slot<Name> {
    const moments = this.#names.map((name) => [name, variable(first(name), { trainable: false })] as const)
    return { updates: new Counter(), moments: Object.fromEntries(moments) as Record<Name, tf.Variable> }
  }

  #forget(): void {
    for (const { updates, moments } of this.#slots.values()) {
      updates.dispose()
      tf.dispose(moments)
    }
    this.#slots.clear()
  }
}
