import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, type Key, Linear, silu } from '@x/core-gpu'

/** SwiGLU whose three products have biases, as some checkpoints have it: `down(silu(gate(x)) * up(x))`. arXiv 2002.05202 */
export class BiasedSwiGlu extends BaseModule {
  readonly gate: Linear
  readonly up: Linear
  readonly down: Linear

  /**
   * @param dim width of a token
   * @param hiddenDim width between
   * @throws RangeError when a size is no whole number >= 1
   */
  constructor(dim: number, hiddenDim: number, key: Key) {
    super()
    const [gate, up, down] = key.split(3) as [Key, Key, Key]
    this.gate = new Linear(dim, hiddenDim, { key: gate })
    this.up = new Linear(dim, hiddenDim, { key: up })
    this.down = new Linear(hiddenDim, dim, { key: down })
  }

  /** @param x [..., D] @returns the same shape */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() => this.down.forward(tf.mul(silu(this.gate.forward(x)), this.up.forward(x))))
  }
}
