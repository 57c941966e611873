import * as tf from '@tensorflow/tfjs-core'
import type { ForwardContext } from '@x/core-gpu'

/** A forward pass over one chunk of a longer signal. */
export interface SignalContext extends ForwardContext {
  /** what came before the chunk; without it the signal begins and ends here */
  readonly history?: History
}

/** What the convolutions of one stream remember of the chunks before, each the end of its own input. */
export class History {
  readonly #ends = new Map<object, tf.Tensor>()

  /**
   * Puts the last `count` columns seen before in front of a chunk, zeros at the beginning of the stream.
   * @param x [B, 1, T, C]
   * @returns [B, 1, count + T, C]
   */
  join(owner: object, x: tf.Tensor, count: number): tf.Tensor {
    const [batch, , , channels] = x.shape as [number, number, number, number]
    const past = this.#ends.get(owner) ?? tf.zeros([batch, 1, count, channels])
    const joined = tf.concat([past, x], 2)
    const end = tf.slice(joined, [0, 0, joined.shape[2]! - count, 0], [batch, 1, count, channels])
    this.#ends.set(owner, tf.keep(end))
    past.dispose()
    return joined
  }

  dispose(): void {
    for (const end of this.#ends.values()) end.dispose()
    this.#ends.clear()
  }
}
