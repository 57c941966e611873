import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, describeShape, requireTensor } from '@x/core-gpu'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'

/** A quantizer of vectors that lie along the second dimension: images `[B, d, H, W]`, signals `[B, d, T]`. */
export class ChannelsFirst extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly quantizer: Quantizer

  constructor(quantizer: Quantizer) {
    super()
    this.dim = quantizer.dim
    this.codebookSize = quantizer.codebookSize
    this.codebooks = quantizer.codebooks
    this.quantizer = quantizer
  }

  /**
   * @param z `[B, d, ...]`; a mask and the indices have the shape without d, `[B, ...]`
   * @throws RangeError when the second dimension is not `dim`
   */
  quantize(z: tf.Tensor, options?: QuantizeOptions): Quantization {
    requireTensor('z', z)
    if (z.rank < 2 || z.shape[1] !== this.dim)
      throw new RangeError(`z: expected shape [B, ${this.dim}, ...], got ${describeShape(z.shape)}`)
    return tf.tidy(() => {
      const found = this.quantizer.quantize(channelsLast(z), options)
      return { ...found, quantized: channelsFirst(found.quantized) }
    })
  }

  /** @returns `[B, d, ...]` */
  decode(indices: tf.Tensor): tf.Tensor {
    return tf.tidy(() => channelsFirst(this.quantizer.decode(indices)))
  }

  codebook(): tf.Tensor {
    return this.quantizer.codebook()
  }
}

function channelsLast(x: tf.Tensor): tf.Tensor {
  const rest = Array.from({ length: x.rank - 2 }, (_, i) => i + 2)
  return tf.transpose(x, [0, ...rest, 1])
}

function channelsFirst(x: tf.Tensor): tf.Tensor {
  const rest = Array.from({ length: x.rank - 2 }, (_, i) => i + 1)
  return tf.transpose(x, [0, x.rank - 1, ...rest])
}
