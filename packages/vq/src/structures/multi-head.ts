import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, requireFinite, requireInteger, requireLastDimension, requireShape } from '@x/core-gpu'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'
import { requirePartIndices } from './indices.ts'

/**
 * Splits a vector into heads that all take codes of one quantizer: as if each head were a vector of its own.
 * arXiv 2207.11240
 *
 * Indices are `[..., c]`, head after head. For heads with codebooks of their own see `GroupedQuantizer`.
 */
export class SharedHeads extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly head: Quantizer
  readonly #heads: number

  /** @param head quantizes `dim / heads` dimensions */
  constructor(head: Quantizer, heads: number) {
    super()
    requireInteger('heads', heads, 1)
    this.dim = head.dim * heads
    this.codebookSize = head.codebookSize
    this.codebooks = head.codebooks * heads
    this.head = head
    this.#heads = heads
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    const { mask, indices: given, ...rest } = options
    const lead = z.shape.slice(0, -1)
    if (mask) requireShape('mask', mask, lead)
    if (given) requirePartIndices(given, this)
    return tf.tidy(() => {
      const heads = tf.reshape(z, [...lead, this.#heads, this.head.dim])
      const each = mask && tf.tile(tf.expandDims(tf.cast(mask, 'float32'), -1), [...lead.map(() => 1), this.#heads]) // [..., h]
      const { quantized, indices, loss, terms } = this.head.quantize(heads, {
        ...rest,
        ...(each && { mask: each }),
        ...(given && { indices: this.#byHead(given) }),
      })
      return {
        quantized: tf.reshape(quantized, z.shape),
        indices: tf.reshape(indices, this.codebooks === 1 ? lead : [...lead, this.codebooks]),
        loss,
        terms,
      }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requirePartIndices(indices, this)
    return tf.tidy(() => {
      const lead = this.codebooks === 1 ? indices.shape : indices.shape.slice(0, -1)
      return tf.reshape(this.head.decode(this.#byHead(indices)), [...lead, this.dim])
    })
  }

  codebook(): tf.Tensor {
    return this.head.codebook()
  }

  #byHead(indices: tf.Tensor): tf.Tensor {
    const lead = this.codebooks === 1 ? indices.shape : indices.shape.slice(0, -1)
    return tf.reshape(indices, [...lead, this.#heads, ...(this.head.codebooks === 1 ? [] : [this.head.codebooks])])
  }
}
