import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, Linear, silu } from '@x/core-gpu'

export interface SwiGluOptions {
  /** whether its three products have biases; default false */
  readonly bias?: boolean
}

/** SwiGLU: `down(silu(gate(x)) * up(x))`. arXiv 2002.05202 */
export class SwiGlu extends BaseModule {
  readonly gate: Linear
  readonly up: Linear
  readonly down: Linear

  /**
   * @param dim D
   * @param hiddenDim width between
   * @throws RangeError when a size is no whole number >= 1
   */
  constructor(dim: number, hiddenDim: number, key: Key, { bias = false }: SwiGluOptions = {}) {
    super()
    const [gate, up, down] = key.split(3) as [Key, Key, Key]
    this.gate = new Linear(dim, hiddenDim, { key: gate, bias })
    this.up = new Linear(dim, hiddenDim, { key: up, bias })
    this.down = new Linear(hiddenDim, dim, { key: down, bias })
  }

  /** @param x [..., D] @returns the same shape */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => this.down.forward(tf.mul(silu(this.gate.forward(x)), this.up.forward(x))))
  }
}
