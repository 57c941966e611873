import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireFinite, requireShape } from '@x/core-gpu'
import { History } from './history.ts'

/** How a codec's half works on whole frames with a memory of those before. */
type Transform = (x: tf.Tensor, history: History) => tf.Tensor

/** Encodes a signal that comes in chunks, into the indices that `encode` gives for all of it at once. */
export class EncodeStream {
  readonly #hop: number
  readonly #channels: number
  readonly #encode: Transform
  readonly #history = new History()
  /** [B, less than hop, C], samples that wait for their frame to be full */
  #rest: tf.Tensor3D | undefined
  #batch: number | undefined

  constructor(hop: number, channels: number, encode: Transform) {
    this.#hop = hop
    this.#channels = channels
    this.#encode = encode
  }

  /**
   * @param chunk the next samples, [B, any number, channels]
   * @returns the indices of the frames that are now full, int32 [B, frames, c]; null while there are none
   * @throws RangeError when channels or batch differ from those before, or a sample is NaN or infinite
   */
  push(chunk: tf.Tensor): tf.Tensor | null {
    requireShape('chunk', chunk, [this.#batch ?? null, null, this.#channels])
    requireFinite('chunk', chunk)
    if (chunk.size === 0) return null
    const all = this.#rest ? tf.concat([this.#rest, chunk as tf.Tensor3D], 1) : tf.clone(chunk as tf.Tensor3D)
    const [batch, length] = all.shape
    const whole = length - (length % this.#hop)
    this.#rest?.dispose()
    this.#rest = whole < length ? tf.keep(tf.slice(all, [0, whole, 0])) : undefined
    this.#batch = batch
    const indices = whole > 0 ? tf.tidy(() => this.#encode(tf.slice(all, 0, [-1, whole, -1]), this.#history)) : null
    all.dispose()
    return indices
  }

  /**
   * Fills the last frame up with zeros and begins anew.
   * @returns its indices, int32 [B, 1, c]; null if no sample waited
   */
  end(): tf.Tensor | null {
    const rest = this.#rest
    const indices =
      rest &&
      tf.tidy(() => {
        const missing = this.#hop - rest.shape[1]
        return this.#encode(tf.pad(rest, [[0, 0], [0, missing], [0, 0]]), this.#history) // prettier-ignore
      })
    this.dispose()
    return indices ?? null
  }

  /** Forgets what came before. */
  dispose(): void {
    this.#history.dispose()
    this.#rest?.dispose()
    this.#rest = undefined
    this.#batch = undefined
  }
}

/** Decodes indices that come in chunks, into the signal that `decode` gives for all of them at once. */
export class DecodeStream {
  readonly #decode: Transform
  readonly #history = new History()
  #batch: number | undefined

  constructor(decode: Transform) {
    this.#decode = decode
  }

  /**
   * @param indices of the next frames, int32 [B, frames, c]
   * @returns their samples, [B, frames hop, channels]
   * @throws RangeError when the batch differs from the one before, or an index is out of range
   */
  push(indices: tf.Tensor): tf.Tensor {
    requireShape('indices', indices, [null, null, null])
    const batch = indices.shape[0]!
    if (batch !== (this.#batch ?? batch))
      throw new RangeError(`indices: expected ${this.#batch} signals, as before, got ${describeShape(indices.shape)}`)
    const signal = this.#decode(indices, this.#history)
    this.#batch = batch
    return signal
  }

  /** Forgets what came before. */
  dispose(): void {
    this.#history.dispose()
    this.#batch = undefined
  }
}
