import { describeValue, requireInteger } from '@x/core-gpu'
import { BaseCache, blocksInRow } from '../base-cache.ts'
import type { CacheKind, CacheKindOptions, StoredBlock, Streams, Tokens } from '../cache.ts'
import { mapEntries } from '../map-entries.ts'
import { tokenBytes } from '../stored-rows.ts'
import { takePlaces, takeSlots } from '../take-rows.ts'
import type { Run } from '../write-rows.ts'
import { PagePool } from './page-pool.ts'

export interface PagedOptions {
  /** tokens of a page; default 16 */
  readonly pageSize?: number
  /** where pages come from, to be disposed by the caller; default: a pool of the cache and what is made of it */
  readonly pool?: PagePool
}

/** A pool, and how many caches use it; the last one disposes it, where they may. */
interface Lease {
  readonly pool: PagePool
  users: number
  readonly isOwn: boolean
}

/**
 * A cache of pages: a table tells where each sequence's tokens lie, and sequences share the pages of what they have in
 * common. arXiv 2309.06180
 *
 * A page that others hold too is copied before it is written.
 */
export class PagedCache extends BaseCache {
  readonly #lease: Lease
  #tables: readonly (readonly number[])[]

  /** @throws TypeError, RangeError naming the option that is wrong */
  constructor(streams: Streams, options: CacheKindOptions & PagedOptions, lease?: Lease) {
    super(streams, options)
    this.#lease = lease ?? leaseOf(streams, options)
    this.#lease.users++
    this.#tables = this.counts.map(() => [])
  }

  /** of the pages that its sequences hold, each counted once */
  get bytes(): number {
    return new Set(this.#tables.flat()).size * this.pool.pageBytes
  }

  get pool(): PagePool {
    return this.#lease.pool
  }

  /** The pages of each sequence, in order. */
  get tables(): readonly (readonly number[])[] {
    return this.#tables
  }

  /** Gathers some pages at a time: reading copies what is read. */
  blocks(): readonly StoredBlock[] {
    const { pageSize } = this.pool
    const pages = Math.max(1, Math.floor(this.blockSlots / pageSize))
    return blocksInRow(this.counts, pages * pageSize, (from, count) => this.#gather(from / pageSize, count))
  }

  /**
   * A cache of some of the sequences, in any order and any number of times, with the same tokens: for several
   * continuations of a prompt, for beams, or without what has ended.
   * @throws RangeError when a sequence is none of this cache
   */
  select(sequences: readonly number[]): PagedCache {
    const wrong = sequences.find((sequence) => this.counts[sequence] === undefined)
    if (wrong !== undefined)
      throw new RangeError(`sequences: expected some of 0 to ${this.counts.length - 1}, got ${describeValue(wrong)}`)
    const other = new PagedCache(this.streams, { batch: sequences.length, capacity: this.capacity }, this.#lease)
    other.#tables = sequences.map((sequence) => this.#tables[sequence]!)
    other.counts = sequences.map((sequence) => this.counts[sequence]!)
    for (const page of other.#tables.flat()) this.pool.hold(page)
    return other
  }

  fork(): PagedCache {
    return this.select([...this.counts.keys()])
  }

  dispose(): void {
    if (this.#lease.users === 0 || this.#tables.length === 0) return
    for (const page of this.#tables.flat()) this.pool.release(page)
    this.#tables = []
    this.#lease.users--
    if (this.#lease.users === 0 && this.#lease.isOwn) this.pool.dispose()
  }

  protected store(tokens: Tokens, added: number): void {
    const { pageSize } = this.pool
    const runs: Run[] = []
    this.#tables = this.#tables.map((table, sequence) => {
      const pages = [...table]
      const start = this.counts[sequence]!
      for (let position = start; position < start + added;) {
        const [at, slot] = [Math.floor(position / pageSize), position % pageSize]
        if (at === pages.length) pages.push(this.pool.take())
        else if (this.pool.isShared(pages[at]!)) pages[at] = this.#copyOf(pages[at]!, slot)
        const count = Math.min(pageSize - slot, start + added - position)
        runs.push({ sequence, from: position - start, place: pages[at]!, slot, count })
        position += count
      }
      return pages
    })
    this.pool.rows.write(tokens, runs)
  }

  protected forget(counts: readonly number[]): void {
    this.#tables = this.#tables.map((table, sequence) => {
      const kept = Math.ceil(counts[sequence]! / this.pool.pageSize)
      for (const page of table.slice(kept)) this.pool.release(page)
      return table.slice(0, kept)
    })
  }

  #copyOf(page: number, count: number): number {
    const own = this.pool.take()
    if (count > 0) this.pool.rows.copy(page, own, count)
    this.pool.release(page)
    return own
  }

  /** The first tokens of pages in a row, of all sequences; beyond a sequence's own pages any others. */
  #gather(fromPage: number, count: number): Tokens {
    const { pageSize, rows } = this.pool
    const pages = Math.ceil(count / pageSize)
    const tables = this.#tables.map((table) => Array.from({ length: pages }, (_, i) => table[fromPage + i] ?? 0))
    const whole = rows.read((buffer) => takePlaces(buffer, tables))
    return mapEntries(whole, (name) => takeSlots(whole[name]!, 0, count))
  }
}

/**
 * Tokens in pages that are given out as sequences grow, and shared by those that have them in common. arXiv 2309.06180
 * @throws RangeError naming the option that is out of range
 */
export function paged(options: PagedOptions = {}): CacheKind {
  const { pageSize = options.pool?.pageSize ?? 16 } = options
  requireInteger('pageSize', pageSize, 1)
  return {
    kind: 'paged',
    create: (streams, asked) => new PagedCache(streams, { ...asked, ...options }),
    bytes: (streams, { batch, storage }, length) =>
      batch * Math.ceil(length / pageSize) * pageSize * tokenBytes(streams, storage),
  }
}

function leaseOf(
  streams: Streams,
  { batch, capacity, storage, pageSize, pool }: CacheKindOptions & PagedOptions,
): Lease {
  if (!pool) {
    const pages = Math.min(64, batch * Math.ceil(capacity / (pageSize ?? 16)))
    const own = new PagePool(streams, { pages, ...(pageSize && { pageSize }), ...(storage && { storage }) })
    return { pool: own, users: 0, isOwn: true }
  }
  if (pageSize !== undefined && pageSize !== pool.pageSize)
    throw new RangeError(`pageSize: expected ${pool.pageSize}, that of the pool, got ${pageSize}`)
  if (storage) throw new TypeError('storage: a pool has its own, expected none')
  if (JSON.stringify(pool.streams) !== JSON.stringify(streams))
    throw new RangeError(`pool: expected streams ${JSON.stringify(streams)}, got ${JSON.stringify(pool.streams)}`)
  return { pool, users: 0, isOwn: false }
}
