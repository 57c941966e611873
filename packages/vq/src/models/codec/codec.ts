import * as tf from '@tensorflow/tfjs-core'
import {
  BaseModule,
  checkOptions,
  defineMethod,
  describeShape,
  describeValue,
  isModule,
  type Key,
  key as makeKey,
  keyOption,
  type LossAndMetrics,
  type Method,
  numberFrom,
  requireFinite,
  requireInteger,
  requireShape,
  type Sequential,
} from '@x/core-gpu'
import * as v from 'valibot'
import { Projected } from '../../adapters/projected.ts'
import { requireIndices } from '../../indices.ts'
import type { Quantization, Quantizer } from '../../quantizer.ts'
import { ResidualQuantizer } from '../../structures/residual.ts'
import { type CheckedConfig, type CodecConfig, codecEntries } from './config.ts'
import type { History, SignalContext } from './history.ts'
import { signalDecoder, signalEncoder } from './network.ts'
import type { SpectralDistance } from './spectral.ts'
import { DecodeStream, EncodeStream } from './streams.ts'

export interface CodecOptions extends CodecConfig {
  /** between encoder and decoder; its `dim` is that of a frame; disposed with the codec */
  readonly quantizer: Quantizer
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

/**
 * A codec of signals: strided convolutions, a quantizer of each frame, transposed convolutions.
 * arXiv 2107.03312, 2210.13438 and 2306.06546
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const codec: Method<CodecOptions, Codec> = /* @__PURE__ */ defineMethod({
  id: 'vq/codec',
  title: 'Codec of signals',
  summary: 'A convolutional encoder and decoder of signals around any quantizer, for streams of few bits.',
  paper: { title: 'SoundStream: An End-to-End Neural Audio Codec', arxiv: '2107.03312', year: 2021 },
  options: v.object({
    ...codecEntries(),
    quantizer: v.custom<Quantizer>(isQuantizer, 'a quantizer'),
    key: v.optional(keyOption(), () => makeKey(0)),
  }),
  create: ({ quantizer, key, ...config }) => new Codec(config, quantizer, key),
})

/** How much of a frame is kept or known. */
export interface FrameOptions {
  /**
   * how many indices of each frame, in the quantizer's order: of a residual quantizer the first layers, which are the same
   * signal with less detail; default: all
   */
  readonly layers?: number
}

export interface DecodeOptions {
  /** how many samples are wanted, at most `frames * hop`; default: all of the last frame */
  readonly length?: number
}

export interface CodecLossOptions {
  /** needed by quantizers that draw in training */
  readonly key?: Key
  /** compares spectra; default: the signals alone are compared */
  readonly spectral?: SpectralDistance
  readonly weights?: CodecWeights
}

/** Weights of the terms of a codec's loss. */
export interface CodecWeights {
  /** of the mean absolute difference of samples; default 1 */
  readonly time?: number
  /** of the distance of spectra; default 1 */
  readonly spectral?: number
  /** of the quantizer's loss; default 1 */
  readonly quantizer?: number
}

const weightsSchema = v.object({
  time: v.optional(numberFrom(0), 1),
  spectral: v.optional(numberFrom(0), 1),
  quantizer: v.optional(numberFrom(0), 1),
})

export interface CodecPassOptions {
  /** default false */
  readonly training?: boolean
  /** needed in training by quantizers that draw */
  readonly key?: Key
}

/** A signal through the codec: what came out, and what the quantizer said. */
export type CodecPass = Pick<Quantization, 'loss' | 'terms'> & {
  /** [B, T, channels] */
  readonly reconstruction: tf.Tensor
  /** int32 [B, frames, c] */
  readonly indices: tf.Tensor
}

/** What `codec` makes. Signals are [B, T, channels]; a length that is no multiple of `hop` is filled up with zeros. */
export class Codec extends BaseModule {
  readonly encoder: Sequential
  readonly quantizer: Quantizer
  readonly decoder: Sequential
  /** of the signal */
  readonly channels: number
  /** samples of a frame, the product of the strides */
  readonly hop: number
  readonly #causal: boolean

  constructor(config: CheckedConfig, quantizer: Quantizer, key: Key) {
    super()
    const { channels, strides, padding, width, compress } = config
    if (width % compress !== 0) throw new RangeError(`compress: expected a divisor of width ${width}, got ${compress}`)
    const [encoderKey, decoderKey] = key.split(2) as [Key, Key]
    this.encoder = signalEncoder(config, quantizer.dim, encoderKey)
    this.quantizer = quantizer
    this.decoder = signalDecoder(config, quantizer.dim, decoderKey)
    this.channels = channels
    this.hop = strides.reduce((product, stride) => product * stride, 1)
    this.#causal = padding === 'causal'
  }

  /**
   * Encodes, quantizes and decodes, with gradients towards everything.
   * @param signal [B, T, channels]
   * @throws RangeError when the shape differs, or a sample is NaN or infinite
   */
  forward(signal: tf.Tensor, options: CodecPassOptions = {}): CodecPass {
    this.#requireSignal('signal', signal)
    return tf.tidy(() => {
      const { quantized, indices, loss, terms } = this.quantizer.quantize(this.#latents(signal), options)
      const reconstruction = this.#samples(quantized, signal.shape[1]!)
      return { reconstruction, indices: this.#framed(indices), loss, terms }
    })
  }

  /**
   * What a training step makes smaller: absolute differences of samples, the distance of spectra, the quantizer's loss.
   * @param signal [B, T, channels]
   * @returns the loss, and its terms before they are weighted
   * @throws RangeError as `forward`, or for a negative weight
   */
  loss(signal: tf.Tensor, options: CodecLossOptions = {}): Required<LossAndMetrics> {
    const { spectral, key } = options
    const weights = checkOptions(weightsSchema, options.weights ?? {})
    return tf.tidy(() => {
      const { reconstruction, loss } = this.forward(signal, { training: true, ...(key && { key }) })
      const metrics: Record<string, tf.Scalar> = {
        time: tf.mean<tf.Scalar>(tf.abs(tf.sub(reconstruction, signal))),
        ...(spectral && { spectral: spectral.between(reconstruction, signal) }),
        quantizer: loss,
      }
      const weighted = Object.entries(metrics).map(([name, term]) => tf.mul(term, weights[name as keyof CodecWeights]))
      return { loss: tf.addN(weighted) as tf.Scalar, metrics }
    })
  }

  /**
   * @param signal [B, T, channels]
   * @returns int32 [B, ceil(T / hop), c], c the number of the quantizer's codebooks or `layers`
   * @throws RangeError when the shape differs, a sample is NaN or infinite, or `layers` is out of range
   */
  encode(signal: tf.Tensor, options: FrameOptions = {}): tf.Tensor {
    this.#requireSignal('signal', signal)
    const layers = this.#requireLayers(options.layers)
    return this.#indices(signal, layers)
  }

  /**
   * @param indices int32 [B, frames, c]; with fewer than all, those of the first codebooks: the others add nothing
   * @returns [B, frames hop, channels], or as many samples as `length` says
   * @throws RangeError when the shape differs, an index is out of range, or there are not so many samples
   */
  decode(indices: tf.Tensor, options: DecodeOptions = {}): tf.Tensor {
    this.#requireIndices(indices)
    const most = indices.shape[1]! * this.hop
    const { length = most } = options
    requireInteger('length', length, 1)
    if (length > most)
      throw new RangeError(`length: expected at most ${most}, for ${indices.shape[1]} frames, got ${length}`)
    return tf.tidy(() => this.#samples(this.#codes(indices), length))
  }

  /**
   * Encodes chunk by chunk; needs a codec with `padding: 'causal'`.
   * @throws RangeError for another padding, or when `layers` is out of range
   */
  encodeStream(options: FrameOptions = {}): EncodeStream {
    this.#requireCausal()
    const layers = this.#requireLayers(options.layers)
    return new EncodeStream(this.hop, this.channels, (chunk, history) => this.#indices(chunk, layers, history))
  }

  /**
   * Decodes chunk by chunk; needs a codec with `padding: 'causal'`.
   * @throws RangeError for another padding
   */
  decodeStream(): DecodeStream {
    this.#requireCausal()
    return new DecodeStream((indices, history) => {
      this.#requireIndices(indices)
      return tf.tidy(() => this.#samples(this.#codes(indices), indices.shape[1]! * this.hop, history))
    })
  }

  /**
   * Bits per second of the indices, each of the base-2 logarithm of its codebook's size.
   * @param sampleRate in Hz
   * @throws RangeError when a number is out of range
   */
  bitrate(sampleRate: number, options: FrameOptions = {}): number {
    if (!(sampleRate > 0 && sampleRate < Infinity))
      throw new RangeError(`sampleRate: expected a positive number, got ${describeValue(sampleRate)}`)
    const bits = bitsOf(this.quantizer).slice(0, this.#requireLayers(options.layers))
    return (sampleRate / this.hop) * bits.reduce((sum, each) => sum + each, 0)
  }

  /** @returns [B, frames, d] */
  #latents(signal: tf.Tensor, history?: History): tf.Tensor {
    const [batch, length] = signal.shape as [number, number]
    const missing = (this.hop - (length % this.hop)) % this.hop
    const whole = tf.pad(signal as tf.Tensor3D, [[0, 0], [0, missing], [0, 0]]) // prettier-ignore
    const columns = this.encoder.forward(tf.expandDims(whole, 1), contextOf(history)) // [B, 1, frames, d]
    return tf.reshape(columns, [batch, columns.shape[2]!, this.quantizer.dim])
  }

  /** @param frames [B, frames, d] @returns [B, length, channels] */
  #samples(frames: tf.Tensor, length: number, history?: History): tf.Tensor {
    const columns = this.decoder.forward(tf.expandDims(frames, 1), contextOf(history)) // [B, 1, T, C]
    const [batch, , most] = columns.shape as [number, number, number]
    const whole = tf.reshape<tf.Rank.R3>(columns, [batch, most, this.channels])
    return tf.slice(whole, [0, 0, 0], [-1, length, -1])
  }

  #indices(signal: tf.Tensor, layers: number, history?: History): tf.Tensor {
    return tf.tidy(() => {
      const { indices } = this.quantizer.quantize(this.#latents(signal, history))
      return tf.slice(this.#framed(indices), [0, 0, 0], [-1, -1, layers])
    })
  }

  /** Of a single codebook too, indices are [B, frames, c]. */
  #framed(indices: tf.Tensor): tf.Tensor3D {
    const [batch, frames] = indices.shape as [number, number]
    return tf.reshape(indices, [batch, frames, this.quantizer.codebooks])
  }

  /** @returns [B, frames, d]; a codebook without an index has -1, which decodes to zeros */
  #codes(indices: tf.Tensor): tf.Tensor {
    const { codebooks } = this.quantizer
    const [batch, frames, given] = indices.shape as [number, number, number]
    if (codebooks === 1) return this.quantizer.decode(tf.reshape(indices, [batch, frames]))
    if (given === codebooks) return this.quantizer.decode(indices)
    return this.quantizer.decode(tf.concat([indices, tf.fill([batch, frames, codebooks - given], -1, 'int32')], 2))
  }

  #requireSignal(name: string, signal: tf.Tensor): void {
    requireShape(name, signal, [null, null, this.channels])
    if (signal.size === 0)
      throw new RangeError(`${name}: expected at least one sample, got ${describeShape(signal.shape)}`)
    requireFinite(name, signal)
  }

  #requireIndices(indices: tf.Tensor): void {
    requireShape('indices', indices, [null, null, null])
    const { codebooks, codebookSize } = this.quantizer
    const given = indices.shape[2]!
    if (given > codebooks || indices.size === 0)
      throw new RangeError(
        `indices: expected shape [?, ?, 1 to ${codebooks}] with at least one frame, got ${describeShape(indices.shape)}`,
      )
    requireIndices('indices', indices, codebookSize)
  }

  #requireLayers(layers: number = this.quantizer.codebooks): number {
    requireInteger('layers', layers, 1)
    if (layers > this.quantizer.codebooks)
      throw new RangeError(`layers: expected at most ${this.quantizer.codebooks}, got ${layers}`)
    return layers
  }

  #requireCausal(): void {
    if (!this.#causal) throw new RangeError("padding: a stream needs a codec with 'causal', got 'centred'")
  }
}

function contextOf(history: History | undefined): SignalContext {
  return history ? { history } : {}
}

/** How many bits each index of a frame needs. */
function bitsOf(quantizer: Quantizer): number[] {
  if (quantizer instanceof ResidualQuantizer) return quantizer.passes.flatMap(bitsOf)
  if (quantizer instanceof Projected) return bitsOf(quantizer.quantizer)
  return Array.from({ length: quantizer.codebooks }, () => Math.log2(quantizer.codebookSize))
}

function isQuantizer(value: unknown): boolean {
  return isModule(value) && typeof (value as Partial<Quantizer>).quantize === 'function'
}
