import type * as tf from '@tensorflow/tfjs-core'
import type { Storage } from '../storages/storage.ts'

/** What is remembered of one token, by name: how many heads, and how wide each is. */
export type Streams = Readonly<Record<string, readonly [heads: number, width: number]>>

/** New tokens, float32 [B, heads, L, width] for each stream. */
export type Tokens = Readonly<Record<string, tf.Tensor4D>>

/** How far back queries see. */
export interface Reach {
  /** how many of the last tokens, the query's own included; Infinity for all */
  readonly last: number
  /** how many of the first tokens beside those */
  readonly first: number
}

/** Some of the stored tokens, which are read when they are needed. */
export interface StoredBlock {
  /** how many tokens there is room for in it */
  readonly slots: number
  /** position of the first slot, which the others follow; or of every slot, for all sequences or each, negative where it is empty */
  readonly positions: number | readonly (readonly number[])[]
  /** the positions before these are stored, of each sequence; slots beyond hold anything finite */
  readonly until: readonly number[]
  /**
   * float32 [B, heads, slots, width] of each stream; int32, as `packHalf` makes them, where the caller takes halves.
   *
   * Either buffers of the cache, not to be disposed and good until it changes, or new tensors, so call it in a `tf.tidy`.
   */
  read(): Tokens
}

/** What the reader of a cache takes. */
export interface ReadOptions {
  /** whether it takes pairs of numbers in half precision as they are stored; default false */
  readonly half?: boolean
}

/** Keys and values of the positions so far, or what they are made of, in buffers whose size is measured; inference only. */
export interface KvCache {
  /** bytes of the live buffers */
  readonly bytes: number
  /** positions seen so far, of each sequence of the batch */
  readonly lengths: readonly number[]
  /** positions that fit */
  readonly capacity: number
  /** what is remembered of one token */
  readonly streams: Streams
  /** what is surely kept; less is for an attention that sees no more */
  readonly reach: Reach
  /**
   * Stores more tokens of every sequence, each behind its own last one.
   * @throws RangeError when tokens do not fit the streams, or the capacity
   */
  append(tokens: Tokens): void
  /** The same, and hands what the queries of these tokens see to `use`, for as long as that runs. */
  append<T extends tf.TensorContainer>(
    tokens: Tokens,
    use: (blocks: readonly StoredBlock[]) => T,
    options?: ReadOptions,
  ): T
  /** What is stored, in blocks that hold each position once. */
  blocks(options?: ReadOptions): readonly StoredBlock[]
  /**
   * Forgets the tokens beyond a length, such as drafts that were refused or the padding of prompts.
   * @param lengths of each sequence, or of all
   * @throws RangeError unless each is a whole number of at most the present length
   */
  truncate(lengths: number | readonly number[]): void
  /** A second cache with the same tokens, that goes on by itself. */
  fork(): KvCache
  /** Copies of what is stored, by position, [B, heads, most, width], to be disposed by the caller; 0 behind a shorter sequence. */
  export(): Record<string, tf.Tensor4D>
  dispose(): void
}

/** How a cache arranges its tokens, such as `ring()` or `paged()`. */
export interface CacheKind {
  readonly kind: string
  /** @throws RangeError naming the option that is out of range */
  create(streams: Streams, options: CacheKindOptions): KvCache
  /**
   * Bytes of the buffers of such a cache, without making it.
   * @param length tokens of each sequence, where the buffers grow with them
   */
  bytes(streams: Streams, options: CacheKindOptions, length: number): number
}

/** How the numbers of all streams are kept, or those of each by name. */
export type StorageOption = Storage | Readonly<Record<string, Storage>>

export interface CacheOptions {
  /** how many sequences */
  readonly batch: number
  /** positions that fit in each */
  readonly capacity: number
  /** how tokens are arranged; default `contiguous()` */
  readonly kind?: CacheKind
  /** how numbers are kept; default `float32()` */
  readonly storage?: StorageOption
}

/** What an attention asks of a kind. */
export interface CacheKindOptions extends Omit<CacheOptions, 'kind'> {
  /** how far back its queries see; default: to the beginning */
  readonly reach?: Reach
}

/** All that came before. */
export const everything: Reach = { last: Infinity, first: 0 }
