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
export {
  type FeatureBatch,
  FeatureNetwork,
  type FeatureNetworkOptions,
  quarterTurns,
  trainFeatureNetwork,
  type TrainFeatureNetworkOptions,
} from './perceptual/feature-network.ts'
export { type FeatureFunction, perceptualDistance } from './perceptual/perceptual-distance.ts'
export { adaptiveWeight, type AdaptiveWeightOptions, type LastLayer } from './vq-gan/adaptive-weight.ts'
export { type AdversarialLoss, hinge, nonSaturating } from './vq-gan/adversarial.ts'
export { PatchDiscriminator, type PatchDiscriminatorOptions } from './vq-gan/discriminator.ts'
export { trainVqGan, type TrainVqGanOptions, vqGanLoss, type VqGanLossOptions } from './vq-gan/train-vq-gan.ts'
export { VqGan, vqGan, type VqGanOptions } from './vq-gan/vq-gan.ts'
export { type VqVaeConfig, vqVaeConfigs } from './vq-vae/config.ts'
export {
  type Autoencoding,
  type PixelDistance,
  VqVae,
  vqVae,
  type VqVaeOptions,
  type VqVaePass,
} from './vq-vae/vq-vae.ts'
