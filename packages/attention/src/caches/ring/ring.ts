import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import { BaseCache } from '../base-cache.ts'
import type {
  CacheKind,
  CacheKindOptions,
  ReadOptions,
  StoredBlock,
  Streams,
  Tokens,
} from '../cache.ts' // prettier-ignore
import { StoredRows, tokenBytes } from '../stored-rows.ts'
import type { Run } from '../write-rows.ts'

export interface RingOptions {
  /** how many tokens can be taken back once the ring is full, such as drafts of speculative decoding; default 0 */
  readonly spare?: number
}

/**
 * A cache of a window: the last tokens go round in a ring, and the first ones stay. arXiv 2309.17453
 *
 * Its memory does not grow with the context, which may be longer than any capacity. Slots tell their positions, so what a
 * query sees does not depend on where a token lies.
 */
export class RingCache extends BaseCache {
  /** tokens that can be taken back once the ring is full */
  readonly spare: number
  readonly #rows: StoredRows
  /** position of each slot of each sequence, -1 for none */
  #positions: readonly (readonly number[])[]

  /**
   * @param options `reach` says which tokens stay: the first ones, and the last of the window
   * @param rows of another cache; default: new ones
   * @throws TypeError, RangeError naming the option that is wrong
   */
  constructor(streams: Streams, options: CacheKindOptions & RingOptions, rows?: StoredRows) {
    super(streams, options, options.reach)
    const { batch, storage } = options
    const slots = ringSlots(options)
    if (slots === Infinity) throw new RangeError('capacity: expected a number where there is no window, got Infinity')
    this.spare = options.spare ?? 0
    this.#rows = rows ?? new StoredRows(streams, batch, slots, storage)
    this.#positions = Array.from({ length: batch }, () => Array.from({ length: slots }, () => -1))
  }

  get bytes(): number {
    return this.#rows.bytes
  }

  blocks(): readonly StoredBlock[] {
    return [
      {
        slots: this.#rows.slots,
        positions: this.#positions,
        until: this.counts,
        read: () => this.#rows.read((buffer) => buffer),
      },
    ]
  }

  fork(): RingCache {
    const { reach, spare, capacity, streams } = this
    const other = new RingCache(streams, { batch: this.counts.length, capacity, reach, spare }, this.#rows.fork())
    other.counts = this.counts
    other.#positions = this.#positions
    return other
  }

  dispose(): void {
    this.#rows.dispose()
  }

  /** Of many tokens the first ones see what the last ones push out, so those attend before anything is stored. */
  protected override take<T>(
    tokens: Tokens,
    added: number,
    use: ((blocks: readonly StoredBlock[]) => T) | undefined,
    options: ReadOptions,
  ): T | void {
    const pushesOut = Math.max(...this.counts) + added > this.#rows.slots
    if (!use || !pushesOut || added <= this.spare + 1) return super.take(tokens, added, use, options)
    const result = use([this.#joined(tokens, added)])
    super.take(tokens, added, undefined, options)
    return result
  }

  /** What is stored, and tokens behind it. */
  #joined(tokens: Tokens, added: number): StoredBlock {
    const following = (count: number): number[] => Array.from({ length: added }, (_, i) => count + i)
    return {
      slots: this.#rows.slots + added,
      positions: this.counts.map((count, sequence) => [...this.#positions[sequence]!, ...following(count)]),
      until: this.counts.map((count) => count + added),
      read: () => {
        const before = this.#rows.read((buffer) => buffer)
        const now = this.#rows.stored(tokens)
        return Object.fromEntries(Object.keys(now).map((name) => [name, tf.concat([before[name]!, now[name]!], 2)]))
      },
    }
  }

  protected store(tokens: Tokens, added: number): void {
    const { first } = this.reach
    const { slots } = this.#rows
    const inRing = slots - first
    const runs: Run[] = []
    this.#positions = this.#positions.map((before, sequence) => {
      const positions = [...before]
      const start = this.counts[sequence]!
      for (let from = 0; from < added; from++) {
        const position = start + from
        // Only what the last ones do not push out again.
        if (position >= first && position < start + added - inRing) continue
        const slot = position < first ? position : first + ((position - first) % inRing)
        positions[slot] = position
        const run = runs.at(-1)
        if (run?.sequence === sequence && run.from + run.count === from && run.slot + run.count === slot)
          runs[runs.length - 1] = { ...run, count: run.count + 1 }
        else runs.push({ sequence, from, place: sequence, slot, count: 1 })
      }
      return positions
    })
    this.#rows.write(tokens, runs)
  }

  protected forget(counts: readonly number[]): void {
    const { first, last } = this.reach
    counts.forEach((count, sequence) => {
      // The earliest position beside the first ones that the next query sees.
      const earliest = Math.max(first, count - last + 1)
      if (earliest < count && !this.#positions[sequence]!.includes(earliest))
        throw new RangeError(
          `lengths: expected at most ${this.spare + 1} tokens to be taken back from a full ring, or all, got ${this.counts[sequence]! - count}`,
        )
    })
    this.#positions = this.#positions.map((positions, sequence) =>
      positions.map((position) => (position < counts[sequence]! ? position : -1)),
    )
  }
}

/**
 * The last tokens in a ring, as many as the attention's window, and its first ones beside them (`keepFirst`); an attention
 * without a window gets all its room. arXiv 2309.17453
 * @throws RangeError naming the option that is out of range
 */
export function ring({ spare = 0 }: RingOptions = {}): CacheKind {
  requireInteger('spare', spare, 0)
  return {
    kind: 'ring',
    create: (streams, options) => new RingCache(streams, { ...options, spare }),
    bytes: (streams, options) =>
      options.batch * ringSlots({ ...options, spare }) * tokenBytes(streams, options.storage),
  }
}

/** How many tokens there is room for. */
function ringSlots({ reach, spare = 0, capacity }: CacheKindOptions & RingOptions): number {
  return reach ? Math.min(capacity, reach.first + reach.last + spare) : capacity
}
