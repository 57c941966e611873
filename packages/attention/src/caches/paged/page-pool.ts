import { requireInteger } from '@x/core-gpu'
import type { StorageOption, Streams } from '../cache.ts'
import { StoredRows } from '../stored-rows.ts'

export interface PagePoolOptions {
  /** tokens of a page; default 16 */
  readonly pageSize?: number
  /** pages at the beginning; default 16 */
  readonly pages?: number
  /** how numbers are kept; default `float32()` */
  readonly storage?: StorageOption
}

/**
 * Pages of tokens for caches that share them; those that no one holds are given out again. arXiv 2309.06180
 *
 * It grows by doubling when none is free, which copies it.
 */
export class PagePool {
  readonly streams: Streams
  readonly pageSize: number
  /** how many hold each page */
  readonly #holders: number[]
  readonly #free: number[]
  #rows: StoredRows

  /** @throws TypeError, RangeError naming the option that is wrong */
  constructor(streams: Streams, { pageSize = 16, pages = 16, storage }: PagePoolOptions = {}) {
    requireInteger('pageSize', pageSize, 1)
    requireInteger('pages', pages, 1)
    this.streams = streams
    this.pageSize = pageSize
    this.#rows = new StoredRows(streams, pages, pageSize, storage)
    this.#holders = Array.from({ length: pages }, () => 0)
    // The last one is given out first.
    this.#free = Array.from({ length: pages }, (_, i) => pages - 1 - i)
  }

  /** The rows of all pages, [pages, heads, pageSize, ...]. */
  get rows(): StoredRows {
    return this.#rows
  }

  /** pages, free ones included */
  get pages(): number {
    return this.#rows.places
  }

  /** pages that no one holds */
  get free(): number {
    return this.#free.length
  }

  /** bytes of the live buffers, free pages included */
  get bytes(): number {
    return this.#rows.bytes
  }

  /** bytes of one page */
  get pageBytes(): number {
    return this.#rows.bytes / this.#rows.places
  }

  /** Gives a page out. */
  take(): number {
    if (this.#free.length === 0) {
      const { places } = this.#rows
      this.#rows = this.#rows.grown(2 * places)
      for (let page = 2 * places - 1; page >= places; page--) {
        this.#holders[page] = 0
        this.#free.push(page)
      }
    }
    const page = this.#free.pop()!
    this.#holders[page] = 1
    return page
  }

  /** One more holds a page. */
  hold(page: number): void {
    this.#holders[page]!++
  }

  /** One less does. */
  release(page: number): void {
    this.#holders[page]!--
    if (this.#holders[page] === 0) this.#free.push(page)
  }

  /** Whether more than one holds a page. */
  isShared(page: number): boolean {
    return this.#holders[page]! > 1
  }

  dispose(): void {
    this.#rows.dispose()
  }
}
