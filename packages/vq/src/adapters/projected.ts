import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  type Key,
  key as makeKey,
  type Layer,
  Linear,
  requireInteger,
  requireLastDimension,
} from '@x/core-gpu'
import { hideMasked, requireIndices } from '../indices.ts'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'

export interface ProjectedOptions {
  /** from the outer size to the quantizer's; default: a linear layer */
  readonly in?: Layer
  /** and back; default: a linear layer */
  readonly out?: Layer
  /** draws the linear layers; default `key(0)` */
  readonly key?: Key
}

/**
 * A quantizer between two projections: vectors are taken to its size, their codes back. What `decode` gives has been projected
 * back too, so that decoding indices gives what was quantized.
 */
export class Projected extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly projectIn: Layer
  readonly quantizer: Quantizer
  readonly projectOut: Layer

  /**
   * @param quantizer of any size
   * @param dim size of the outer vectors
   */
  constructor(quantizer: Quantizer, dim: number, options: ProjectedOptions = {}) {
    super()
    requireInteger('dim', dim, 1)
    const [inKey, outKey] = (options.key ?? makeKey(0)).split(2) as [Key, Key]
    this.dim = dim
    this.codebookSize = quantizer.codebookSize
    this.codebooks = quantizer.codebooks
    this.projectIn = options.in ?? new Linear(dim, quantizer.dim, { key: inKey })
    this.quantizer = quantizer
    this.projectOut = options.out ?? new Linear(quantizer.dim, dim, { key: outKey })
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    const { training = false, key, mask } = options
    return tf.tidy(() => {
      const context = key ? { training, key: key.fold(IN) } : { training }
      const inner = this.projectIn.forward(z, context) // [..., d]
      const { quantized, ...rest } = this.quantizer.quantize(inner, options)
      const back = this.projectOut.forward(quantized, key ? { training, key: key.fold(OUT) } : { training })
      return { ...rest, quantized: hideMasked(back, rest.indices, mask).quantized }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    requireIndices('indices', indices, this.codebookSize)
    return tf.tidy(() => {
      const codes = this.projectOut.forward(this.quantizer.decode(indices)) // [..., D]
      const first = this.codebooks === 1 ? indices : tf.squeeze(tf.slice(indices, zeros(indices), one(indices)), [-1])
      // A masked vector's code is 0, which a bias would move.
      return tf.mul(codes, tf.cast(tf.expandDims(tf.greaterEqual(first, tf.scalar(0, 'int32')), -1), 'float32'))
    })
  }

  /** @returns the codes as vectors of the outer size, `[K, D]`; with several codebooks those of the quantizer inside */
  codebook(): tf.Tensor {
    return tf.tidy(() => {
      const codes = this.quantizer.codebook()
      return this.codebooks === 1 ? this.projectOut.forward(codes) : codes
    })
  }
}

/** Keys of the projections, apart from what the quantizer between them draws. */
const IN = 101
const OUT = 102

/** Begin and size of the first index of each vector. */
const zeros = (x: tf.Tensor): number[] => x.shape.map(() => 0)
const one = (x: tf.Tensor): number[] => [...x.shape.slice(0, -1), 1]
