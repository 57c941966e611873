import type { KvCache } from '../caches/cache.ts'

/** The caches of a decoder's layers, which go together. */
export class DecoderCache {
  readonly layers: readonly KvCache[]

  constructor(layers: readonly KvCache[]) {
    this.layers = layers
  }

  /** bytes of the live buffers of all layers */
  get bytes(): number {
    return this.layers.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** positions stored so far, of each sequence of the batch */
  get lengths(): readonly number[] {
    return this.layers[0]!.lengths
  }

  /** positions that fit */
  get capacity(): number {
    return this.layers[0]!.capacity
  }

  /**
   * Forgets the tokens beyond a length.
   * @param lengths of each sequence, or of all
   * @throws RangeError unless each is a whole number of at most the present length
   */
  truncate(lengths: number | readonly number[]): void {
    for (const layer of this.layers) layer.truncate(lengths)
  }

  /** A second cache with the same tokens, that goes on by itself. */
  fork(): DecoderCache {
    return new DecoderCache(this.layers.map((layer) => layer.fork()))
  }

  dispose(): void {
    for (const layer of this.layers) layer.dispose()
  }
}
