import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, Linear, silu } from '@x/core-gpu'

/** SwiGLU: `down(silu(gate(x)) * up(x))`, without biases. arXiv 2002.05202 */
export class SwiGlu extends BaseModule {
  readonly gate: Linear
  readonly up: Linear
  readonly down: Linear

  /**
   * @param dim D
   * @param hiddenDim width between
   * @throws RangeError when a size is no whole number >= 1
   */
  constructor(dim: number, hiddenDim: number, key: Key) {
    super()
    const [gate, up, down] = key.split(3) as [Key, Key, Key]
    this.gate = new Linear(dim, hiddenDim, { key: gate, bias: false })
    this.up = new Linear(dim, hiddenDim, { key: up, bias: false })
    this.down = new Linear(hiddenDim, dim, { key: down, bias: false })
  }

  /** @param x [..., D] @returns the same shape */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => this.down.forward(tf.mul(silu(this.gate.forward(x)), this.up.forward(x))))
  }
}
