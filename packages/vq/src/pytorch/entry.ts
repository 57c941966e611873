import * as tf from '@tensorflow/tfjs-core'

/** One tensor of a PyTorch state dict, and what it is here. */
export interface Entry {
  /** in PyTorch */
  readonly name: string
  /** whether a state may lack it */
  readonly optional?: boolean
  /** the entry it must be equal to */
  readonly sameAs?: string
  /** whether it is the bias of a SimVQ's map */
  readonly mapBias?: boolean
  /** @returns the value in PyTorch's shape and type, a new tensor */
  write(): tf.Tensor
  /** @returns entries of the own state, from this one's value, undefined where the state lacks it, and the whole state */
  read(value: tf.Tensor | undefined, state: Record<string, tf.Tensor>): Record<string, tf.Tensor>
}

/** A tensor that is the same on both sides. */
export function plainEntry(name: string, own: string, tensor: tf.Tensor): Entry {
  return { name, write: () => tf.clone(tensor), read: (value) => ({ [own]: value! }) }
}

/** Names the part, by its place in the quantizer, that PyTorch has nothing for. */
export function unknownPart(own: string): TypeError {
  const place = own === '' ? 'this one' : `its part "${own.slice(0, -1)}"`
  return new TypeError(`quantizer: ${place} has no counterpart among those that fromPyTorch and toPyTorch know`)
}
