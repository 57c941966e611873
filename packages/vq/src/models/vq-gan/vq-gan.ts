import { BaseModule, defineMethod, integer, type Key, key as makeKey, keyOption, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import { type CompleteConfig, configEntries, requireConsistent } from '../vq-vae/config.ts'
import { pixelsOption, quantizerOption, VqVae, type VqVaeOptions } from '../vq-vae/vq-vae.ts'
import { patchesOf, PatchDiscriminator, type PatchDiscriminatorOptions } from './discriminator.ts'

export interface VqGanOptions extends Omit<VqVaeOptions, 'pixels'> {
  /** the distance beside the perceptual one; default `l1` */
  readonly pixels?: VqVaeOptions['pixels']
  readonly discriminator?: PatchDiscriminatorOptions
}

/** An autoencoder and the discriminator that it trains against; only the former is needed afterwards. */
export class VqGan extends BaseModule {
  readonly autoencoder: VqVae
  readonly discriminator: PatchDiscriminator

  constructor(autoencoder: VqVae, discriminator: PatchDiscriminator) {
    super()
    this.autoencoder = autoencoder
    this.discriminator = discriminator
  }
}

/**
 * Makes an autoencoder around any quantizer, with a discriminator of patches: `vqGan({ ...vqVaeConfigs.rgb256, quantizer })`,
 * to be trained by `trainVqGan`. arXiv 2012.09841
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const vqGan: Method<VqGanOptions, VqGan> = /* @__PURE__ */ defineMethod({
  id: 'vq/vq-gan',
  title: 'VQ-GAN',
  summary: 'A VQ-VAE trained against a discriminator of patches and by distances of features.',
  paper: { title: 'Taming Transformers for High-Resolution Image Synthesis', arxiv: '2012.09841', year: 2020 },
  options: v.object({
    ...configEntries(),
    quantizer: quantizerOption(),
    pixels: v.optional(pixelsOption(), 'l1'),
    discriminator: v.optional(
      v.strictObject({
        width: v.optional(integer(1), 64),
        layers: v.optional(integer(1), 3),
        norm: v.optional(v.picklist(['batch', 'group']), 'batch'),
      }),
      {},
    ),
    key: v.optional(keyOption()),
  }),
  create: ({ quantizer, pixels, discriminator, key, ...config }) => {
    requireConsistent(config)
    requirePatches(config, discriminator.layers)
    const [first, second] = (key ?? makeKey(0)).split(2) as [Key, Key]
    return new VqGan(
      new VqVae(config, quantizer, pixels, first),
      new PatchDiscriminator(config.channels, { ...discriminator, key: second }),
    )
  },
})

/** @throws RangeError when the discriminator would leave nothing of the images */
function requirePatches({ size }: CompleteConfig, layers: number): void {
  if (Math.min(...patchesOf(size, layers)) < 1)
    throw new RangeError(`discriminator.layers: expected fewer for images of ${size.join(' x ')}, got ${layers}`)
}
