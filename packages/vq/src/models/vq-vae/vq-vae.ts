import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  Conv2d,
  defineMethod,
  describeShape,
  type ForwardContext,
  isModule,
  type Key,
  key as makeKey,
  keyOption,
  meanSquaredError,
  type Method,
  requireShape,
} from '@x/core-gpu'
import * as v from 'valibot'
import type { Quantization, Quantizer } from '../../quantizer.ts'
import { contextOf } from './blocks.ts'
import { type CompleteConfig, configEntries, reductionOf, requireConsistent, type VqVaeConfig } from './config.ts'
import { Decoder } from './decoder.ts'
import { Encoder } from './encoder.ts'

/** How far two images are apart: the mean of the pixels' absolute (`l1`) or squared (`l2`) differences. */
export type PixelDistance = 'l1' | 'l2'

export interface VqVaeOptions extends VqVaeConfig {
  /** any quantizer of this package; the model's own from then on, disposed with it */
  readonly quantizer: Quantizer
  /** the distance that training makes small; default `l2` */
  readonly pixels?: PixelDistance
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

/** What a model gives for a batch of images. */
export type VqVaePass = {
  /** [B, H, W, channels] */
  readonly reconstruction: tf.Tensor4D
  /** int32, as the quantizer gives them: [B, H / f, W / f], with several codebooks [B, H / f, W / f, c] */
  readonly indices: tf.Tensor
  /** the sum of `terms`: what training makes small */
  readonly loss: tf.Scalar
  /** `pixels`, the distance of images and reconstructions; in training also each loss of the quantizer, weighted */
  readonly terms: Record<string, tf.Scalar>
}

/** A pass without the distance of images and reconstructions. */
export type Autoencoding = {
  /** what the decoder's last layer sees, [B, H, W, width] */
  readonly features: tf.Tensor4D
  /** [B, H, W, channels] */
  readonly reconstruction: tf.Tensor4D
  readonly quantization: Quantization
}

/**
 * An autoencoder of images around a quantizer: residual blocks with group norms and SiLU, and attention where the config
 * says so. arXiv 1711.00937, with the network of 2012.09841
 */
export class VqVae extends BaseModule {
  readonly encoder: Encoder
  /** 1 x 1, from `latentDim` to the quantizer's dimension */
  readonly project: Conv2d
  readonly quantizer: Quantizer
  /** 1 x 1, and back */
  readonly unproject: Conv2d
  readonly decoder: Decoder
  readonly config: CompleteConfig
  readonly pixels: PixelDistance

  constructor(config: CompleteConfig, quantizer: Quantizer, pixels: PixelDistance, key: Key) {
    super()
    const [encoder, project, unproject, decoder] = key.split(4) as [Key, Key, Key, Key]
    const { latentDim } = config
    this.encoder = new Encoder(config, encoder)
    this.project = new Conv2d(latentDim, quantizer.dim, { key: project, kernelSize: 1 })
    this.quantizer = quantizer
    this.unproject = new Conv2d(quantizer.dim, latentDim, { key: unproject, kernelSize: 1 })
    this.decoder = new Decoder(config, decoder)
    this.config = config
    this.pixels = pixels
  }

  /** Height and width of the latents. */
  get latentSize(): [height: number, width: number] {
    const f = reductionOf(this.config)
    return [this.config.size[0] / f, this.config.size[1] / f]
  }

  /**
   * Encodes images, quantizes their latents and decodes the codes.
   * @param x images, [B, H, W, channels]
   * @param context a key is needed in training by quantizers that draw, and for dropout
   * @throws RangeError when the shape differs
   */
  forward(x: tf.Tensor, context: ForwardContext = {}): VqVaePass {
    return tf.tidy(() => {
      const { reconstruction, quantization } = this.autoencode(x, context)
      const { indices, loss, terms } = quantization
      const pixels = this.pixelDistance(x, reconstruction)
      return { reconstruction, indices, loss: tf.add(pixels, loss), terms: { pixels, ...terms } }
    })
  }

  /**
   * `forward` without a distance, for objectives of one's own.
   * @param x images, [B, H, W, channels]
   * @throws RangeError when the shape differs
   */
  autoencode(x: tf.Tensor, context: ForwardContext = {}): Autoencoding {
    return tf.tidy(() => {
      const z = this.#latents(x, contextOf(context, 0))
      const quantization = this.quantizer.quantize(z, contextOf(context, 1))
      return { ...this.#decode(quantization.quantized, contextOf(context, 2)), quantization }
    })
  }

  /**
   * @param x images, [B, H, W, channels]
   * @returns latents as the quantizer gets them, [B, H / f, W / f, d], and the codes' indices
   * @throws RangeError when the shape differs
   */
  encode(x: tf.Tensor): { latents: tf.Tensor4D; indices: tf.Tensor } {
    return tf.tidy(() => {
      const latents = this.#latents(x, {})
      return { latents, indices: this.quantizer.quantize(latents).indices }
    })
  }

  /**
   * Images of codes: `decode(encode(x).indices)` equals `forward(x).reconstruction`.
   * @param indices as `encode` gives them
   * @returns [B, H, W, channels]
   * @throws RangeError when an index is out of range or they are no image's
   */
  decode(indices: tf.Tensor): tf.Tensor4D {
    return tf.tidy(() => {
      const quantized = this.quantizer.decode(indices)
      const [height, width] = this.latentSize
      if (quantized.rank !== 4 || quantized.shape[1] !== height || quantized.shape[2] !== width)
        throw new RangeError(
          `indices: expected those of ${height} x ${width} latents per image, got ${describeShape(indices.shape)}`,
        )
      return this.#decode(quantized, {}).reconstruction
    })
  }

  /** The mean over pixels of `|a - b|` or `(a - b)^2`, as the option `pixels` says, []. */
  pixelDistance(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
    return this.pixels === 'l2' ? meanSquaredError(a, b) : tf.tidy(() => tf.mean(tf.abs(tf.sub(a, b))))
  }

  #latents(x: tf.Tensor, context: ForwardContext): tf.Tensor4D {
    requireShape('x', x, [null, ...this.config.size, this.config.channels])
    return this.project.forward(this.encoder.forward(x, context)) as tf.Tensor4D
  }

  #decode(quantized: tf.Tensor, context: ForwardContext): Pick<Autoencoding, 'features' | 'reconstruction'> {
    const features = this.decoder.features(this.unproject.forward(quantized), context) as tf.Tensor4D
    return { features, reconstruction: this.decoder.output.forward(features) as tf.Tensor4D }
  }
}

/** What a quantizer in an option must be. */
export function quantizerOption(): v.GenericSchema<Quantizer> {
  return v.custom<Quantizer>(
    (value) => isModule(value) && typeof (value as Partial<Quantizer>).quantize === 'function',
    'a quantizer, such as simvq({ dim: 64, codebookSize: 1024 })',
  )
}

/** The schema of `pixels`. */
export function pixelsOption(): v.GenericSchema<PixelDistance> {
  return v.picklist(['l1', 'l2'])
}

/**
 * Makes an autoencoder of images around any quantizer: `vqVae({ ...vqVaeConfigs.rgb64, quantizer })`.
 * arXiv 1711.00937
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const vqVae: Method<VqVaeOptions, VqVae> = /* @__PURE__ */ defineMethod({
  id: 'vq/vq-vae',
  title: 'VQ-VAE',
  summary: 'A convolutional autoencoder of images with a quantizer in its middle.',
  paper: { title: 'Neural Discrete Representation Learning', arxiv: '1711.00937', year: 2017 },
  options: v.object({
    ...configEntries(),
    quantizer: quantizerOption(),
    pixels: v.optional(pixelsOption(), 'l2'),
    key: v.optional(keyOption()),
  }),
  create: ({ quantizer, pixels, key, ...config }) => {
    requireConsistent(config)
    return new VqVae(config, quantizer, pixels, key ?? makeKey(0))
  },
})
