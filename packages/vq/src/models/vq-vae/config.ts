/** The sizes of an autoencoder of images. */
export interface VqVaeConfig {
  /** height and width of the images; multiples of the reduction, 2^(multipliers - 1) */
  readonly size: readonly [height: number, width: number]
  /** of the images: 1 for grey, 3 for colour */
  readonly channels: number
  /** features at full resolution, before the first multiplier */
  readonly width: number
  /** features of each resolution, as multiples of `width`; from one to the next the resolution halves */
  readonly multipliers: readonly number[]
  /** residual blocks at each resolution; the decoder has one more */
  readonly blocks: number
  /** heights of the feature maps that attend, such as `[16]`; default: none */
  readonly attention?: readonly number[]
  /** channels between the encoder and the quantizer, before a map to the quantizer's own dimension */
  readonly latentDim: number
  /** groups of the group norms; divides `width`; default 32 */
  readonly groups?: number
  /** share of features that a residual block drops in training; default 0 */
  readonly dropout?: number
}

/** Sizes for images from digits to 256 x 256 in colour; the last one is that of VQ-GAN with f = 16 (arXiv 2012.09841). */
export const vqVaeConfigs: {
  /** 28 x 28 x 1 to 7 x 7 latents, as for MNIST */
  readonly gray28: VqVaeConfig
  /** 32 x 32 x 3 to 8 x 8 latents, as for CIFAR */
  readonly rgb32: VqVaeConfig
  /** 64 x 64 x 3 to 16 x 16 latents */
  readonly rgb64: VqVaeConfig
  /** 128 x 128 x 3 to 16 x 16 latents */
  readonly rgb128: VqVaeConfig
  /** 256 x 256 x 3 to 16 x 16 latents */
  readonly rgb256: VqVaeConfig
} = {
  gray28: { size: [28, 28], channels: 1, width: 32, multipliers: [1, 2, 2], blocks: 1, latentDim: 64, groups: 8 },
  rgb32: {
    size: [32, 32],
    channels: 3,
    width: 64,
    multipliers: [1, 2, 2],
    blocks: 2,
    attention: [8],
    latentDim: 128,
  },
  rgb64: {
    size: [64, 64],
    channels: 3,
    width: 64,
    multipliers: [1, 2, 4],
    blocks: 2,
    attention: [16],
    latentDim: 256,
  },
  rgb128: {
    size: [128, 128],
    channels: 3,
    width: 128,
    multipliers: [1, 1, 2, 4],
    blocks: 2,
    attention: [16],
    latentDim: 256,
  },
  rgb256: {
    size: [256, 256],
    channels: 3,
    width: 128,
    multipliers: [1, 1, 2, 2, 4],
    blocks: 2,
    attention: [16],
    latentDim: 256,
  },
}
