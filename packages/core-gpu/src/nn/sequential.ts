import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, isModule } from '../module/module.ts'
import { describeValue, requireTensor } from '../validation/validation.ts'
import type { ForwardContext, Layer } from './layer.ts'

/** Layers one after the other; in the state they are called `0`, `1`, ... */
export class Sequential extends BaseModule implements Layer {
  readonly [index: number]: Layer
  readonly #layers: readonly Layer[]

  /** @throws TypeError when an argument is no layer */
  constructor(...layers: Layer[]) {
    super()
    layers.forEach((layer, i) => {
      if (!isModule(layer) || typeof layer.forward !== 'function')
        throw new TypeError(`layers[${i}]: expected a layer, got ${describeValue(layer)}`)
    })
    this.#layers = layers
    // As fields of their own, so that the state's names are the positions.
    Object.assign(this, layers)
  }

  get length(): number {
    return this.#layers.length
  }

  /** Each layer gets a key of its own, folded from the context's by its position. */
  forward(x: tf.Tensor, context: ForwardContext = {}): tf.Tensor {
    requireTensor('x', x)
    return tf.tidy(() => {
      let y: tf.Tensor = tf.clone(x)
      this.#layers.forEach((layer, i) => {
        y = layer.forward(y, context.key ? { ...context, key: context.key.fold(i) } : context)
      })
      return y
    })
  }
}
