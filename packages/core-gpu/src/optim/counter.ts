import * as tf from '@tensorflow/tfjs-core'
import { variable } from '../module/module.ts'

/** A whole number that is counted in JavaScript and saved as a tensor. */
export class Counter {
  readonly #saved: tf.Variable = variable(tf.scalar(0, 'int32'), { trainable: false })
  #value = 0

  get value(): number {
    return this.#value
  }

  increment(): number {
    this.#value += 1
    return this.#value
  }

  /** The live tensor, int32 []. */
  tensor(): tf.Variable {
    tf.tidy(() => this.#saved.assign(tf.scalar(this.#value, 'int32')))
    return this.#saved
  }

  load(tensor: tf.Tensor): void {
    const [value] = tensor.dataSync()
    this.#value = value!
  }

  dispose(): void {
    this.#saved.dispose()
  }
}
