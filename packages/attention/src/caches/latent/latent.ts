import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import type { CacheOptions, Streams } from '../cache.ts'
import { ContiguousCache } from '../contiguous/contiguous.ts'

export interface LatentCacheOptions extends CacheOptions {
  /** width of the latent that keys and values are made of */
  readonly rank: number
  /** width of the key that all heads share, turned by its position; 0 for none */
  readonly ropeDim: number
}

/**
 * The cache of multi-head latent attention: [latent | shared key] of each position, whatever the number of heads.
 * arXiv 2405.04434
 *
 * Both lie side by side, so that all heads read them as one key, and its beginning as one value.
 */
export class LatentCache extends ContiguousCache {
  readonly rank: number
  readonly ropeDim: number

  /**
   * @param buffers of another cache, whose elements this one shares until either appends; default: new ones
   * @throws RangeError naming the option that is out of range
   */
  constructor({ rank, ropeDim, ...options }: LatentCacheOptions, buffers?: Readonly<Record<string, tf.Tensor4D>>) {
    super(latentStreams(rank, ropeDim), options, buffers)
    this.rank = rank
    this.ropeDim = ropeDim
  }

  /** Copies of what is stored, as `export`, but by part: latents [B, 1, length, rank] and shared keys [B, 1, length, ropeDim]. */
  exportParts(): { readonly latent: tf.Tensor4D; readonly key: tf.Tensor4D } {
    return tf.tidy(() => {
      const [latent, key] = tf.split(this.export()['tokens']!, [this.rank, this.ropeDim], 3) as tf.Tensor4D[]
      return { latent: latent!, key: key! }
    })
  }

  protected override sharing(options: CacheOptions, buffers: Readonly<Record<string, tf.Tensor4D>>): LatentCache {
    return new LatentCache({ rank: this.rank, ropeDim: this.ropeDim, ...options }, buffers)
  }
}

/** What is remembered of one token: one row, for all heads. */
export function latentStreams(rank: number, ropeDim: number): Streams {
  requireInteger('rank', rank, 1)
  requireInteger('ropeDim', ropeDim, 0)
  return { tokens: [1, rank + ropeDim] }
}
