import * as tf from '@tensorflow/tfjs-core'
import { Activation, BaseModule, type Key, Linear, relu, Sequential } from '@x/core-gpu'
import type { Quantization, Quantizer } from '@x/vq'
import { pixels } from './data.ts'

/** How many codes stand for one digit. */
export const tokens = 8
const hidden = 128

export interface Reconstruction {
  /** [B, 784], 0 to 1 */
  readonly digits: tf.Tensor2D
  readonly quantization: Quantization
}

/** 784-128-(8 tokens)-128-784 with a quantizer in the middle. */
export class DigitsAutoencoder extends BaseModule {
  readonly encoder: Sequential
  readonly quantizer: Quantizer
  readonly decoder: Sequential

  constructor(quantizer: Quantizer, key: Key) {
    super()
    const keys = key.split(4)
    const linear = (inputs: number, outputs: number, index: number): Linear =>
      new Linear(inputs, outputs, { key: keys[index]! })
    const latent = tokens * quantizer.dim
    this.quantizer = quantizer
    this.encoder = new Sequential(linear(pixels, hidden, 0), new Activation(relu), linear(hidden, latent, 1))
    this.decoder = new Sequential(linear(latent, hidden, 2), new Activation(relu), linear(hidden, pixels, 3))
  }

  /** @param x [B, 784] @returns latents [B, 8, d] */
  encode(x: tf.Tensor2D): tf.Tensor {
    return tf.tidy(() => tf.reshape(this.encoder.forward(x), [x.shape[0], tokens, this.quantizer.dim]))
  }

  /** @param codes [B, 8, d] @returns digits [B, 784] */
  decode(codes: tf.Tensor): tf.Tensor2D {
    return tf.tidy(() => {
      const flat = tf.reshape(codes, [codes.shape[0]!, tokens * this.quantizer.dim])
      return tf.sigmoid(this.decoder.forward(flat)) as tf.Tensor2D
    })
  }

  /** @param x [B, 784] */
  forward(x: tf.Tensor2D, options: { training: boolean; key?: Key }): Reconstruction {
    const quantization = this.quantizer.quantize(this.encode(x), options)
    return { digits: this.decode(quantization.quantized), quantization }
  }
}
