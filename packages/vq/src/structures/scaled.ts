import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, requireFinite, requireLastDimension } from '@x/core-gpu'
import type { Quantization, QuantizeOptions, Quantizer } from '../quantizer.ts'

/** A quantizer whose codes are `scale` times another's: what is left after one layer is smaller, by about the levels. */
export class ScaledQuantizer extends BaseModule implements Quantizer {
  readonly dim: number
  readonly codebookSize: number
  readonly codebooks: number
  readonly inner: Quantizer
  readonly #scale: readonly number[]

  /** @param scale of each dimension */
  constructor(inner: Quantizer, scale: readonly number[]) {
    super()
    if (scale.length !== inner.dim || !scale.every((s) => s > 0))
      throw new RangeError(`scale: expected ${inner.dim} numbers > 0, got [${scale.join(', ')}]`)
    this.dim = inner.dim
    this.codebookSize = inner.codebookSize
    this.codebooks = inner.codebooks
    this.inner = inner
    this.#scale = scale
  }

  quantize(z: tf.Tensor, options: QuantizeOptions = {}): Quantization {
    requireLastDimension('z', z, this.dim)
    requireFinite('z', z)
    return tf.tidy(() => {
      const smaller = this.#byRow(z, (rows) => tf.div(rows, [...this.#scale]))
      const { quantized, ...rest } = this.inner.quantize(smaller, options)
      return { quantized: this.#scaled(quantized), ...rest }
    })
  }

  decode(indices: tf.Tensor): tf.Tensor {
    return tf.tidy(() => this.#scaled(this.inner.decode(indices)))
  }

  /** @throws RangeError where the quantizer has several codebooks: its codes then have no one scale */
  codebook(): tf.Tensor {
    if (this.codebooks > 1) throw new RangeError(`codebook: expected one codebook to scale, got ${this.codebooks}`)
    return tf.tidy(() => this.#scaled(this.inner.codebook()))
  }

  #scaled(x: tf.Tensor): tf.Tensor {
    return this.#byRow(x, (rows) => tf.mul(rows, [...this.#scale]))
  }

  /** WebGPU takes no scale along the last of five dimensions. */
  #byRow(x: tf.Tensor, f: (rows: tf.Tensor2D) => tf.Tensor): tf.Tensor {
    return tf.reshape(f(tf.reshape(x, [-1, this.dim])), x.shape)
  }
}
