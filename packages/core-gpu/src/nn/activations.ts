import * as tf from '@tensorflow/tfjs-core'
import { activation } from '../kernels/activation/activation.ts'
import { BaseModule } from '../module/module.ts'
import { requireTensor } from '../validation/validation.ts'
import type { Layer } from './layer.ts'

/** A function applied to every element. */
export type ActivationFunction = (x: tf.Tensor) => tf.Tensor

/** max(x, 0). */
export function relu(x: tf.Tensor): tf.Tensor {
  return tf.relu(x)
}

/** x where positive, else `slope` x. */
export function leakyRelu(x: tf.Tensor, options: LeakyReluOptions = {}): tf.Tensor {
  return tf.leakyRelu(x, options.slope ?? 0.01)
}

export interface LeakyReluOptions {
  /** default 0.01 */
  readonly slope?: number
}

/** x where positive, else exp(x) - 1. */
export function elu(x: tf.Tensor): tf.Tensor {
  return tf.elu(x)
}

/** 1 / (1 + exp(-x)). */
export function sigmoid(x: tf.Tensor): tf.Tensor {
  return tf.sigmoid(x)
}

/** The hyperbolic tangent. */
export function tanh(x: tf.Tensor): tf.Tensor {
  return tf.tanh(x)
}

/** log(1 + exp(x)). */
export function softplus(x: tf.Tensor): tf.Tensor {
  return tf.softplus(x)
}

/** x sigmoid(x), also called swish (arXiv 1702.03118). */
export function silu(x: tf.Tensor): tf.Tensor {
  return activation('silu', x)
}

/** x times the normal distribution function at x (arXiv 1606.08415). */
export function gelu(x: tf.Tensor): tf.Tensor {
  return activation('gelu', x)
}

/** The GELU with its distribution function approximated by a hyperbolic tangent (arXiv 1606.08415). */
export function geluTanh(x: tf.Tensor): tf.Tensor {
  return activation('geluTanh', x)
}

/** An activation function as a layer. */
export class Activation extends BaseModule implements Layer {
  readonly #apply: ActivationFunction

  constructor(apply: ActivationFunction) {
    super()
    this.#apply = apply
  }

  forward(x: tf.Tensor): tf.Tensor {
    requireTensor('x', x)
    return this.#apply(x)
  }
}
