export { type VqVaeConfig, vqVaeConfigs } from './vq-vae/config.ts'
export {
  Codec,
  codec,
  type CodecLossOptions,
  type CodecOptions,
  type CodecPass,
  type CodecPassOptions,
  type CodecWeights,
  type DecodeOptions,
  type FrameOptions,
} from './codec/codec.ts'
export { type CodecConfig, codecConfigs } from './codec/config.ts'
export type { SignalPadding } from './codec/convolution.ts'
export { melFilters, type MelOptions, type MelScale } from './codec/mel.ts'
export { SpectralDistance, type SpectralDistanceOptions, type SpectralMelOptions } from './codec/spectral.ts'
export type { DecodeStream, EncodeStream } from './codec/streams.ts'
