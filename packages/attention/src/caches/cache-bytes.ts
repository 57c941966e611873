import { requireInteger } from '@x/core-gpu'
import type { CacheOptions, Reach, Streams } from './cache.ts'
import { contiguous } from './contiguous/contiguous.ts'

export interface CacheBytesOptions extends CacheOptions {
  /** tokens of each sequence, for kinds whose buffers grow with them; default `capacity` */
  readonly length?: number
  /** how far back queries see, for kinds that forget; default: to the beginning */
  readonly reach?: Reach
}

/**
 * Bytes of the buffers of a cache for one layer, by the code that makes them, without making them.
 * @param streams what is remembered of one token, such as `{ k: [8, 128], v: [8, 128] }` or `latentStreams(512, 64)`
 * @throws TypeError, RangeError naming the option that is wrong
 */
export function cacheBytes(streams: Streams, options: CacheBytesOptions): number {
  const { kind = contiguous(), length = options.capacity, ...others } = options
  requireInteger('batch', options.batch, 1)
  requireInteger('length', length, 0)
  return kind.bytes(streams, others, length)
}
