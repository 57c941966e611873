import { requireInteger } from '@x/core-gpu'
import { BaseCache, blocksInRow } from '../base-cache.ts'
import type { CacheKind, CacheKindOptions, ReadOptions, StoredBlock, Streams, Tokens } from '../cache.ts'
import { StoredRows, tokenBytes } from '../stored-rows.ts'
import { takeSlots } from '../take-rows.ts'

/**
 * A cache that has all its room from the beginning: buffers [B, heads, capacity, ...] for each stream.
 *
 * On cpu, wasm and webgpu appending writes the new tokens and nothing else; on webgpu by one copy for each sequence and
 * head. Native TensorFlow does not let a tensor be written: there each `append` copies the buffers, so that a token costs
 * some bytes moved for every position that fits. So does the first `append` after a `fork`, on any backend.
 */
export class ContiguousCache extends BaseCache {
  readonly #rows: StoredRows

  /**
   * @param rows of another cache; default: new ones
   * @throws TypeError, RangeError naming the option that is wrong
   */
  constructor(streams: Streams, options: CacheKindOptions, rows?: StoredRows) {
    super(streams, options)
    requireInteger('capacity', options.capacity, 1)
    this.#rows = rows ?? new StoredRows(streams, options.batch, options.capacity, options.storage)
  }

  /** Those of a buffer that a fork shares count for each of both. */
  get bytes(): number {
    return this.#rows.bytes
  }

  blocks(options?: ReadOptions): readonly StoredBlock[] {
    const whole = this.#rows.whole(options)
    if (whole) return [{ slots: this.capacity, positions: 0, until: this.counts, read: () => whole }]
    return blocksInRow(this.counts, this.blockSlots, (from, count) =>
      this.#rows.read((buffer) => takeSlots(buffer, from, count)),
    )
  }

  fork(): this {
    const other = this.over({ batch: this.counts.length, capacity: this.capacity }, this.#rows.fork())
    other.counts = this.counts
    return other as this
  }

  /** A cache of the same kind with these rows. */
  protected over(options: CacheKindOptions, rows: StoredRows): ContiguousCache {
    return new ContiguousCache(this.streams, options, rows)
  }

  dispose(): void {
    this.#rows.dispose()
  }

  protected store(tokens: Tokens, added: number): void {
    const runs = this.counts.map((slot, sequence) => ({ sequence, from: 0, place: sequence, slot, count: added }))
    this.#rows.write(tokens, runs)
  }

  protected forget(): void {
    // What is beyond the counts is written over later.
  }
}

/** All room from the beginning: what a cache is where nothing else is asked. */
export function contiguous(): CacheKind {
  return {
    kind: 'contiguous',
    create: (streams, options) => new ContiguousCache(streams, options),
    bytes: (streams, { batch, capacity, storage }) => batch * capacity * tokenBytes(streams, storage),
  }
}
