import * as tf from '@tensorflow/tfjs-core'
import type { Size } from './define-kernel-task.ts'

/** Draws uniform numbers in [-1, 1) of a shape. */
export type Draw = (...shape: number[]) => tf.Tensor

type Made = tf.Tensor | readonly tf.Tensor[]

/** Does one call and returns what it made, which is disposed. */
export type Call = () => Made | Promise<Made>

/** Prepares an operation in one of its forms: inputs, not counted, then the call that is measured. */
export type Operation = (form: string, size: Size, draw: Draw) => Call

/**
 * Forward and the gradients of all inputs, from a given gradient of the output.
 * @param shape the output's; a call to find it out would leave memory behind that the measured one then finds
 */
export function differentiate(
  forward: (inputs: readonly tf.Tensor[]) => tf.Tensor,
  inputs: readonly tf.Tensor[],
  shape: readonly number[],
  draw: Draw,
): Call {
  const dy = draw(...shape)
  const gradients = tf.grads((...xs: tf.Tensor[]) => forward(xs))
  return () => gradients([...inputs], dy)
}

/** Each operation's code, loaded only where it is measured. */
const operations: Readonly<Record<string, () => Promise<Operation>>> = {
  matmul: async () => (await import('./operations/matmul.ts')).matmul,
  conv2d: async () => (await import('./operations/conv2d.ts')).conv2d,
  'nearest-code': async () => (await import('./operations/nearest-code.ts')).nearest,
  attention: async () => (await import('./operations/attention.ts')).attention,
  softmax: async () => (await import('./operations/softmax.ts')).softmax,
  norm: async () => (await import('./operations/norm.ts')).norm,
  lookup: async () => (await import('./operations/lookup.ts')).lookupAndGradient,
  adamw: async () => (await import('./operations/adamw.ts')).adamw,
  einsum: async () => (await import('./operations/einsum.ts')).einsum,
  'digits-step': async () => (await import('./operations/digits-step.ts')).digitsStep,
}

/** @throws RangeError for an unknown name */
export async function loadOperation(name: string): Promise<Operation> {
  const load = operations[name]
  if (load === undefined)
    throw new RangeError(`operation: unknown "${name}"; known: ${Object.keys(operations).join(', ')}`)
  return load()
}
