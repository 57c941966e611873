import * as tf from '@tensorflow/tfjs-core'
import { grainOf } from '../matmul/gemm.ts'
import type { Pack } from '../pack.ts'
import type { Composed } from './reference.ts'

/** Functions that the pack computes number by number. */
export type ElementFunction = Composed | 'exp' | 'relu' | 'sigmoid' | 'tanh'

// As assembly/activations.ts numbers them.
const functions: Record<ElementFunction, number> = {
  sigmoid: 0,
  tanh: 1,
  exp: 2,
  silu: 3,
  gelu: 4,
  geluTanh: 5,
  relu: 6,
}

/** What a number costs, in multiply-adds. */
const operations = 6

/** y = f(x). */
export function activationWasm(pack: Pack, name: ElementFunction, x: tf.TensorInfo): tf.TensorInfo {
  const y = pack.output(x.shape)
  const size = tf.util.sizeFromShape(x.shape)
  pack.parallel('activate', size, grainOf(operations, 4), 0, functions[name], pack.address(x), pack.address(y))
  return y
}

/** dx of dy, and of y for sigmoid and tanh, else of x. */
export function activationGradientWasm(
  pack: Pack,
  name: ElementFunction,
  known: tf.TensorInfo,
  dy: tf.TensorInfo,
): tf.TensorInfo {
  const dx = pack.output(known.shape)
  const size = tf.util.sizeFromShape(known.shape)
  const addresses = [pack.address(known), pack.address(dy), pack.address(dx)]
  pack.parallel('activationGradient', size, grainOf(operations, 4), 0, functions[name], ...addresses)
  return dx
}
