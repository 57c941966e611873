import * as tf from '@tensorflow/tfjs-core'
import { describeShape } from '../validation/validation.ts'

/** Anything with trainable or remembered tensors, under names that stay the same from run to run. */
export interface Module {
  /** what an optimizer trains, by path (`encoder.0.weight`) */
  parameters(): Record<string, tf.Variable>
  /** everything that must be saved: parameters and running statistics; the live tensors, not copies */
  state(): Record<string, tf.Tensor>
  /**
   * Takes values over by name; all are checked before the first is written.
   * @throws RangeError for a missing, unknown or wrongly shaped entry
   */
  load(state: Record<string, tf.Tensor>): void
  dispose(): void
}

/**
 * Finds parameters, buffers and parts in its own fields, so that a field's name is its name in the state.
 *
 * A `tf.Variable` field is a parameter if it is trainable, else a buffer; a module, or an array of them, is a part.
 */
export abstract class BaseModule implements Module {
  parameters(): Record<string, tf.Variable> {
    const found = collect(
      this,
      (field) => (field.trainable ? field : undefined),
      (part) => part.parameters(),
    )
    // A variable that two parts share is trained once, under its first name.
    const seen = new Set<tf.Variable>()
    return Object.fromEntries(Object.entries(found).filter(([, v]) => !seen.has(v) && seen.add(v)))
  }

  state(): Record<string, tf.Tensor> {
    return collect<tf.Tensor>(
      this,
      (field) => field,
      (part) => part.state(),
    )
  }

  load(state: Record<string, tf.Tensor>): void {
    requireSameEntries(this.state(), state)
    for (const [path, value] of fieldsOf(this)) {
      if (value instanceof tf.Variable) assign(value, state[path]!)
      else value.load(entriesUnder(path, state))
    }
  }

  dispose(): void {
    for (const [, value] of fieldsOf(this)) if (!(value instanceof tf.Variable && value.isDisposed)) value.dispose()
  }
}

/** Whether a value fulfils the `Module` contract. */
export function isModule(value: unknown): value is Module {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['parameters', 'state', 'load', 'dispose'].every(
      (name) => typeof (value as Record<string, unknown>)[name] === 'function',
    )
  )
}

/** Makes a variable of a tensor and disposes the tensor. */
export function variable(initial: tf.Tensor, options: { trainable?: boolean } = {}): tf.Variable {
  const made = tf.variable(initial, options.trainable ?? true)
  initial.dispose()
  return made
}

/** A module's variables and parts, by field name; arrays of parts count as `name.0`, `name.1`, ... */
function fieldsOf(module: Module): [string, tf.Variable | Module][] {
  return Object.entries(module).flatMap(([name, value]: [string, unknown]): [string, tf.Variable | Module][] => {
    if (value instanceof tf.Variable || isModule(value)) return [[name, value]]
    if (!Array.isArray(value)) return []
    return value.flatMap((item: unknown, i): [string, Module][] => (isModule(item) ? [[`${name}.${i}`, item]] : []))
  })
}

function collect<T>(
  module: Module,
  ofVariable: (field: tf.Variable) => T | undefined,
  ofPart: (part: Module) => Record<string, T>,
): Record<string, T> {
  const found: Record<string, T> = {}
  for (const [path, value] of fieldsOf(module)) {
    if (value instanceof tf.Variable) {
      const kept = ofVariable(value)
      if (kept !== undefined) found[path] = kept
    } else for (const [name, inside] of Object.entries(ofPart(value))) found[`${path}.${name}`] = inside
  }
  return found
}

/**
 * Refuses a state that lacks an entry, has another one or one of another shape.
 * @throws RangeError naming the entry
 */
export function requireSameEntries(own: Record<string, tf.Tensor>, state: Record<string, tf.Tensor>): void {
  for (const name of Object.keys(state))
    if (!(name in own)) throw new RangeError(`state: unknown entry "${name}"; known are ${Object.keys(own).join(', ')}`)
  for (const [name, target] of Object.entries(own)) {
    const source = state[name]
    if (!source) throw new RangeError(`state: entry "${name}" is missing`)
    if (!tf.util.arraysEqual(source.shape, target.shape)) {
      const [wanted, got] = [describeShape(target.shape), describeShape(source.shape)]
      throw new RangeError(`state: entry "${name}" has shape ${got}, expected ${wanted}`)
    }
  }
}

function entriesUnder(path: string, state: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  const inside = Object.entries(state).filter(([name]) => name.startsWith(`${path}.`))
  return Object.fromEntries(inside.map(([name, tensor]) => [name.slice(path.length + 1), tensor]))
}

/** Gives a variable a copy-on-write view of the source's values, in the variable's own type. */
function assign(target: tf.Variable, source: tf.Tensor): void {
  const value = tf.cast(source, target.dtype)
  target.assign(value)
  value.dispose()
}
