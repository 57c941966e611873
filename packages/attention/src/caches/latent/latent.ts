import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import type { CacheKind, CacheKindOptions, Streams } from '../cache.ts'
import { contiguous, ContiguousCache } from '../contiguous/contiguous.ts'
import type { StoredRows } from '../stored-rows.ts'

export interface LatentSizes {
  /** width of the latent that keys and values are made of */
  readonly rank: number
  /** width of the key that all heads share, turned by its position; 0 for none */
  readonly ropeDim: number
}

export interface LatentCacheOptions extends CacheKindOptions, LatentSizes {}

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
   * @param rows of another cache; default: new ones
   * @throws TypeError, RangeError naming the option that is wrong
   */
  constructor({ rank, ropeDim, ...options }: LatentCacheOptions, rows?: StoredRows) {
    super(latentStreams(rank, ropeDim), options, rows)
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

  protected override over(options: CacheKindOptions, rows: StoredRows): LatentCache {
    return new LatentCache({ rank: this.rank, ropeDim: this.ropeDim, ...options }, rows)
  }
}

/** What is remembered of one token: one row, for all heads. */
export function latentStreams(rank: number, ropeDim: number): Streams {
  requireInteger('rank', rank, 1)
  requireInteger('ropeDim', ropeDim, 0)
  return { tokens: [1, rank + ropeDim] }
}

/** The contiguous cache of latents, which tells their parts. */
export function latent(sizes: LatentSizes): CacheKind {
  return {
    ...contiguous(),
    kind: 'latent',
    create: (_, options) => new LatentCache({ ...options, ...sizes }),
  }
}
