import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import { float32 } from '../../storages/float32/float32.ts'
import { int8 } from '../../storages/int8/int8.ts'
import { BaseCache, blocksInRow } from '../base-cache.ts'
import type { CacheKind, CacheKindOptions, StoredBlock, StorageOption, Streams, Tokens } from '../cache.ts'
import { mapEntries } from '../map-entries.ts'
import { StoredRows, storagesOf, tokenBytes } from '../stored-rows.ts'
import { takeSlots } from '../take-rows.ts'

export interface PerChannelOptions {
  /** tokens whose channels share a scale; the newest ones, which do not fill a group, stay float32; default 32 */
  readonly group?: number
  /** which streams have scales for channels; the others have them for tokens; default `['k']` */
  readonly channels?: readonly string[]
}

type Options = CacheKindOptions & PerChannelOptions

/**
 * A quantized cache whose keys have a scale for each channel, over a group of tokens, and whose values have one for each
 * token. arXiv 2402.02750
 *
 * A channel that is large in all tokens then spoils no other. Tokens that do not fill a group yet stay as they are.
 */
export class PerChannelCache extends BaseCache {
  readonly #options: Options
  readonly #group: number
  /** groups of tokens, of the streams with scales for channels: each channel's numbers are a row */
  readonly #channels: StoredRows
  /** the tokens after the last full group, of these streams */
  readonly #rest: StoredRows
  /** tokens of the other streams */
  readonly #tokens: StoredRows

  /** @throws TypeError, RangeError naming the option that is wrong */
  constructor(
    streams: Streams,
    options: Options,
    rows?: { channels: StoredRows; rest: StoredRows; tokens: StoredRows },
  ) {
    super(streams, options)
    const { byChannel, byToken, group, storage, groups } = arrangement(streams, options)
    this.#options = options
    this.#group = group
    this.#channels = rows?.channels ?? new StoredRows(asChannels(byChannel, group), options.batch, groups, storage)
    this.#rest = rows?.rest ?? new StoredRows(byChannel, options.batch, group, float32())
    this.#tokens = rows?.tokens ?? new StoredRows(byToken, options.batch, options.capacity, storage)
  }

  get bytes(): number {
    return this.#channels.bytes + this.#rest.bytes + this.#tokens.bytes
  }

  blocks(): readonly StoredBlock[] {
    const group = this.#group
    const full = this.counts.map((count) => count - (count % group))
    const groups = Math.max(1, Math.floor(this.blockSlots / group))
    const inRow = blocksInRow(full, groups * group, (from, count) => ({
      ...this.#readChannels(from / group, count / group),
      ...this.#tokens.read((buffer) => takeSlots(buffer, from, count)),
    }))
    if (this.counts.every((count, i) => count === full[i])) return inRow
    const rest: StoredBlock = {
      slots: group,
      positions: full.map((from) => Array.from({ length: group }, (_, i) => from + i)),
      until: this.counts,
      read: () => ({ ...this.#rest.read((buffer) => buffer), ...this.#readFrom(full) }),
    }
    return [...inRow, rest]
  }

  fork(): PerChannelCache {
    const rows = { channels: this.#channels.fork(), rest: this.#rest.fork(), tokens: this.#tokens.fork() }
    const other = new PerChannelCache(this.streams, this.#options, rows)
    other.counts = this.counts
    return other
  }

  dispose(): void {
    for (const rows of [this.#channels, this.#rest, this.#tokens]) rows.dispose()
  }

  protected store(tokens: Tokens, added: number): void {
    const runs = this.counts.map((slot, sequence) => ({ sequence, from: 0, place: sequence, slot, count: added }))
    this.#tokens.write(pick(tokens, this.#tokens.streams), runs)
    for (const [sequence, count] of this.counts.entries())
      tf.tidy(() => this.#storeChannels(tokens, sequence, count, added))
  }

  /** A group that loses tokens is unpacked: what is left of it goes on as it was stored. */
  protected forget(counts: readonly number[]): void {
    counts.forEach((count, sequence) => {
      const [before, now] = [this.counts[sequence]!, count].map((n) => Math.floor(n / this.#group)) as [number, number]
      if (before === now || count % this.#group === 0) return
      tf.tidy(() => {
        const tokens = this.#readChannels(now, 1)
        this.#rest.write(tokens, [{ sequence, from: 0, place: sequence, slot: 0, count: this.#group }])
      })
    })
  }

  #storeChannels(tokens: Tokens, sequence: number, count: number, added: number): void {
    const group = this.#group
    const waiting = count % group
    const rest = this.#rest.read((buffer) => tf.slice(buffer, [sequence, 0, 0, 0], [1, -1, waiting, -1]))
    const full = Math.floor((waiting + added) / group)
    const joined = mapEntries(this.#rest.streams, (name) => {
      const own = tf.slice(tokens[name]!, [sequence, 0, 0, 0], [1, -1, -1, -1])
      return waiting > 0 ? tf.concat([rest[name]!, own], 2) : own
    })
    if (full > 0) {
      const groups = mapEntries(joined, (name) => {
        const [, heads, , width] = joined[name]!.shape
        const first = tf.slice(joined[name]!, [0, 0, 0, 0], [-1, -1, full * group, -1])
        const channels = tf.transpose(tf.reshape(first, [heads, full, group, width]), [0, 3, 1, 2]) // [heads, width, full, group]
        return tf.reshape(channels, [1, heads * width, full, group]) as tf.Tensor4D
      })
      const slot = Math.floor(count / group)
      this.#channels.write(groups, [{ sequence: 0, from: 0, place: sequence, slot, count: full }])
    }
    const left = (waiting + added) % group
    const [from, slot] = full > 0 ? [full * group, 0] : [waiting, waiting]
    const moved = full > 0 ? left : added
    if (moved > 0) this.#rest.write(joined, [{ sequence: 0, from, place: sequence, slot, count: moved }])
  }

  /** Tokens of some groups, [B, heads, tokens, width]. */
  #readChannels(from: number, groups: number): Tokens {
    const read = this.#channels.read((buffer) => takeSlots(buffer, from, groups))
    return mapEntries(this.#rest.streams, (name) => {
      const [heads, width] = this.streams[name]!
      const batch = this.counts.length
      const channels = tf.reshape(read[name]!, [batch, heads, width, groups * this.#group])
      return tf.transpose(channels, [0, 1, 3, 2]) as tf.Tensor4D
    })
  }

  /** A group's number of tokens of each sequence, from a position of its own, of the streams with scales for tokens. */
  #readFrom(positions: readonly number[]): Tokens {
    const group = this.#group
    const parts = positions.map((from, sequence) => {
      const count = Math.min(group, this.capacity - from)
      const all = this.#tokens.read((buffer) => takeSlots(buffer, from, count))
      return mapEntries(all, (name) => {
        const own = tf.slice(all[name]!, [sequence, 0, 0, 0], [1, -1, -1, -1])
        return tf.pad(own, [[0, 0], [0, 0], [0, group - count], [0, 0]]) // prettier-ignore
      })
    })
    return mapEntries(this.#tokens.streams, (name) =>
      tf.concat(
        parts.map((part) => part[name]!),
        0,
      ),
    )
  }
}

/**
 * Keys with a scale for each channel over a group of tokens, values with one for each token, as KIVI has it; by default
 * in `int8()`. arXiv 2402.02750
 * @throws RangeError naming the option that is out of range
 */
export function perChannel(options: PerChannelOptions = {}): CacheKind {
  requireInteger('group', options.group ?? 32, 1)
  return {
    kind: 'per-channel',
    create: (streams, asked) => new PerChannelCache(streams, { ...asked, ...options }),
    bytes: (streams, asked) => {
      const { byChannel, byToken, group, groups, storage } = arrangement(streams, { ...asked, ...options })
      const channels = groups * tokenBytes(asChannels(byChannel, group), storage)
      return asked.batch * (channels + group * tokenBytes(byChannel) + asked.capacity * tokenBytes(byToken, storage))
    },
  }
}

function arrangement(
  streams: Streams,
  { capacity, storage = int8(), group = 32, channels = ['k'] }: Options,
): { byChannel: Streams; byToken: Streams; group: number; groups: number; storage: StorageOption } {
  const unknown = channels.find((name) => !Object.hasOwn(streams, name))
  if (unknown !== undefined)
    throw new RangeError(`channels: expected some of ${Object.keys(streams).join(', ')}, got "${unknown}"`)
  requireInteger('capacity', capacity, 1)
  const of = (isByChannel: boolean): Streams =>
    Object.fromEntries(Object.entries(streams).filter(([name]) => channels.includes(name) === isByChannel))
  return { byChannel: of(true), byToken: of(false), group, groups: Math.ceil(capacity / group), storage: storagesOf(streams, storage) } // prettier-ignore
}

/** A group of tokens as rows of each channel. */
function asChannels(streams: Streams, group: number): Streams {
  return Object.fromEntries(Object.entries(streams).map(([name, [heads, width]]) => [name, [heads * width, group]]))
}

function pick(tokens: Tokens, streams: Streams): Tokens {
  return mapEntries(streams, (name) => tokens[name]!)
}
