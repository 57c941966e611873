import { integer, integers, numberFrom } from '@x/core-gpu'
import * as v from 'valibot'

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

/** The same with every default filled in. */
export type CompleteConfig = Required<VqVaeConfig>

/** Their schema. */
export function configEntries(): {
  size: v.GenericSchema<readonly [number, number]>
  channels: v.GenericSchema<number>
  width: v.GenericSchema<number>
  multipliers: v.GenericSchema<readonly number[]>
  blocks: v.GenericSchema<number>
  attention: v.OptionalSchema<v.GenericSchema<readonly number[]>, readonly []>
  latentDim: v.GenericSchema<number>
  groups: v.OptionalSchema<v.GenericSchema<number>, number>
  dropout: v.OptionalSchema<v.GenericSchema<number>, number>
} {
  return {
    size: v.strictTuple([integer(1), integer(1)]),
    channels: integer(1),
    width: integer(1),
    multipliers: integers(1),
    blocks: integer(1),
    attention: v.optional(v.array(integer(1)), []),
    latentDim: integer(1),
    groups: v.optional(integer(1), 32),
    dropout: v.optional(v.pipe(numberFrom(0), v.ltValue(1)), 0),
  }
}

/** What a config asks for at one resolution. */
export interface LevelSizes {
  readonly features: number
  readonly attends: boolean
}

/** The resolutions of a config, full resolution first. */
export function levelsOf({ size, width, multipliers, attention }: CompleteConfig): LevelSizes[] {
  return multipliers.map((multiplier, i) => ({
    features: width * multiplier,
    attends: attention.includes(size[0] / 2 ** i),
  }))
}

/** How many pixels of a row one latent stands for. */
export function reductionOf({ multipliers }: Pick<VqVaeConfig, 'multipliers'>): number {
  return 2 ** (multipliers.length - 1)
}

/**
 * Refuses sizes that do not go together.
 * @throws RangeError naming the entry
 */
export function requireConsistent({ size, width, multipliers, attention, groups }: CompleteConfig): void {
  const reduction = reductionOf({ multipliers })
  if (size.some((pixels) => pixels % reduction !== 0))
    throw new RangeError(`size: expected multiples of ${reduction}, got [${size.join(', ')}]`)
  if (width % groups !== 0) throw new RangeError(`groups: expected a divisor of the width ${width}, got ${groups}`)
  const heights = multipliers.map((_, i) => size[0] / 2 ** i)
  for (const height of attention)
    if (!heights.includes(height))
      throw new RangeError(`attention: expected heights among ${heights.join(', ')}, got ${height}`)
}
