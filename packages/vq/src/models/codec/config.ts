import { integer, integers } from '@x/core-gpu'
import * as v from 'valibot'
import type { SignalPadding } from './convolution.ts'

/** The sizes of a codec's encoder and decoder. */
export interface CodecConfig {
  /** of the signal: 1 for mono, 2 for stereo; default 1 */
  readonly channels?: number
  /** features at the signal's own rate; each stride doubles them */
  readonly width: number
  /** by how much each stage of the encoder shortens the signal; the decoder takes them in reverse */
  readonly strides: readonly number[]
  /** distances between the taps of the residual units before each stride; default [1, 3, 9] */
  readonly dilations?: readonly number[]
  /** taps of the first and the last convolution; default 7 */
  readonly kernelSize?: number
  /** taps of the dilated convolutions; default 7 */
  readonly unitKernelSize?: number
  /** by how much a residual unit narrows its features inside; divides `width`; default 1 */
  readonly compress?: number
  /** default `snake` */
  readonly activation?: 'snake' | 'elu'
  /** `causal` for streams; default `causal` */
  readonly padding?: SignalPadding
  /** `tanh` keeps the decoded signal within -1 and 1; default `linear` */
  readonly output?: 'linear' | 'tanh'
}

type Default<T> = v.OptionalSchema<v.GenericSchema<T>, T>

/** Their schema. */
export function codecEntries(): {
  channels: Default<number>
  width: v.GenericSchema<number>
  strides: v.GenericSchema<readonly number[]>
  dilations: Default<readonly number[]>
  kernelSize: Default<number>
  unitKernelSize: Default<number>
  compress: Default<number>
  activation: Default<'snake' | 'elu'>
  padding: Default<SignalPadding>
  output: Default<'linear' | 'tanh'>
} {
  return {
    channels: v.optional(integer(1), 1),
    width: integer(1),
    strides: integers(1),
    dilations: v.optional(integers(1), [1, 3, 9]),
    kernelSize: v.optional(integer(1), 7),
    unitKernelSize: v.optional(integer(1), 7),
    compress: v.optional(integer(1), 1),
    activation: v.optional(v.picklist(['snake', 'elu']), 'snake'),
    padding: v.optional(v.picklist(['causal', 'centred']), 'causal'),
    output: v.optional(v.picklist(['linear', 'tanh']), 'linear'),
  }
}

/** A config with its defaults filled in. */
export type CheckedConfig = Required<CodecConfig>

/** Sizes for signals from a few samples to audio. */
export const codecConfigs: {
  /** 4 samples a frame: for trying things out */
  readonly tiny: CodecConfig
  /** audio at 24 kHz, 320 samples a frame, with the convolutions of EnCodec (arXiv 2210.13438), without its LSTM */
  readonly encodec24: CodecConfig
  /** audio at 24 kHz, 320 samples a frame, with the residual units of DAC (arXiv 2306.06546), at half its width */
  readonly dac24: CodecConfig
} = {
  tiny: { width: 4, strides: [2, 2], dilations: [1, 2], kernelSize: 3, unitKernelSize: 3 },
  encodec24: {
    width: 32,
    strides: [2, 4, 5, 8],
    dilations: [1],
    unitKernelSize: 3,
    compress: 2,
    activation: 'elu',
  },
  dac24: { width: 32, strides: [2, 4, 5, 8], padding: 'centred', output: 'tanh' },
}
