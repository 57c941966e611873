import type * as tf from '@tensorflow/tfjs-core'

/** What is remembered of one token, by name: how many heads, and how wide each is. */
export type Streams = Readonly<Record<string, readonly [heads: number, width: number]>>

/** Keys and values of the positions so far, or what they are made of, in buffers whose size is measured; inference only. */
export interface KvCache {
  /** bytes of the live buffers */
  readonly bytes: number
  /** positions stored so far, of each sequence of the batch */
  readonly lengths: readonly number[]
  /** positions that fit */
  readonly capacity: number
  /** what is remembered of one token */
  readonly streams: Streams
  /**
   * Stores more tokens of every sequence, each behind its own last one.
   * @param tokens a float32 [B, heads, L, width] for each stream
   * @throws RangeError when tokens do not fit the streams, or the capacity
   */
  append(tokens: Readonly<Record<string, tf.Tensor4D>>): void
  /**
   * The live buffers, [B, heads, capacity, width]; beyond the lengths they hold anything finite.
   *
   * They stay the cache's, and the next `append` may change them: not to be disposed, and read only by operations.
   */
  read(): Readonly<Record<string, tf.Tensor4D>>
  /**
   * Forgets the tokens beyond a length, such as drafts that were refused or the padding of prompts.
   * @param lengths of each sequence, or of all
   * @throws RangeError unless each is a whole number of at most the present length
   */
  truncate(lengths: number | readonly number[]): void
  /** A second cache with the same tokens, that goes on by itself. */
  fork(): KvCache
  /** Copies of what is stored, [B, heads, longest length, width], to be disposed by the caller; 0 behind a shorter sequence. */
  export(): Record<string, tf.Tensor4D>
  dispose(): void
}

export interface CacheOptions {
  /** how many sequences */
  readonly batch: number
  /** positions that fit in each */
  readonly capacity: number
}
