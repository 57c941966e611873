import type * as tf from '@tensorflow/tfjs-core'

/** What a file says of a tensor. */
export interface TensorEntry {
  /** as the file has it, such as `BF16` */
  readonly dtype: string
  readonly shape: readonly number[]
}

/** Tensors by name, each read when it is asked for. */
export interface TensorSource {
  readonly entries: ReadonlyMap<string, TensorEntry>
  /** @returns a tensor to be disposed by the caller; what is no whole number is float32 */
  read(name: string): Promise<tf.Tensor>
}

/** Several sources as one. */
export function joinSources(sources: readonly TensorSource[]): TensorSource {
  const owners = new Map<string, TensorSource>()
  for (const source of sources)
    for (const name of source.entries.keys()) {
      if (owners.has(name)) throw new RangeError(`source: "${name}" is in two of its files`)
      owners.set(name, source)
    }
  const entries = new Map(Array.from(owners, ([name, source]) => [name, source.entries.get(name)!]))
  return { entries, read: (name) => owners.get(name)!.read(name) }
}
