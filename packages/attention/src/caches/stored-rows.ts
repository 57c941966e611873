import * as tf from '@tensorflow/tfjs-core'
import { float32 } from '../storages/float32/float32.ts'
import { isStorage, rowBytes, type Storage } from '../storages/storage.ts'
import type { StorageOption, Streams, Tokens } from './cache.ts'
import { mapEntries } from './map-entries.ts'
import { copied, takePlaces } from './take-rows.ts'
import { type Run, writeRows, writesInPlace } from './write-rows.ts'

/** The parts of each stream's rows, [places, heads, slots, width of the part]. */
type Buffers = Readonly<Record<string, Readonly<Record<string, tf.Tensor4D>>>>

/** Rows of each stream in buffers [places, heads, slots, ...], kept as its storage says. */
export class StoredRows {
  readonly streams: Streams
  readonly places: number
  readonly slots: number
  readonly #storages: Readonly<Record<string, Storage>>
  #buffers: Buffers
  /** whether other rows have the same buffers */
  #isShared = false

  /**
   * @param buffers of other rows, whose elements these share until either is written; default: new ones, all 0
   * @throws TypeError, RangeError when the storage does not fit the streams
   */
  constructor(streams: Streams, places: number, slots: number, storage: StorageOption | undefined, buffers?: Buffers) {
    this.streams = streams
    this.places = places
    this.slots = slots
    this.#storages = storagesOf(streams, storage)
    this.#buffers = mapEntries(streams, (name) => {
      const [heads, width] = streams[name]!
      const parts = this.#storages[name]!.parts(width)
      return mapEntries(parts, (part) =>
        tf.keep(
          buffers
            ? tf.clone(buffers[name]![part]!)
            : (tf.zeros([places, heads, slots, parts[part]!.width], parts[part]!.dtype) as tf.Tensor4D),
        ),
      )
    })
  }

  /** bytes of the live buffers; those that are shared count for each */
  get bytes(): number {
    return this.#tensors()
      .filter(({ isDisposed }) => !isDisposed)
      .reduce((sum, { size, dtype }) => sum + size * tf.util.bytesPerElement(dtype), 0)
  }

  /** The buffers, where they are float32 as they are, or may be read as halves. */
  whole({ half = false }: { half?: boolean } = {}): Tokens | null {
    const names = half ? ['values', 'halves'] : ['values']
    const found = mapEntries(this.#buffers, (name) => {
      const parts = Object.entries(this.#buffers[name]!)
      return parts.length === 1 && names.includes(parts[0]![0]) ? parts[0]![1] : null
    })
    return Object.values(found).includes(null) ? null : (found as Tokens)
  }

  /** Rows as `pick` takes them from each buffer, float32; new tensors, or what `pick` gave. */
  read(pick: (buffer: tf.Tensor4D) => tf.Tensor4D): Tokens {
    return mapEntries(this.streams, (name) => this.#decode(name, mapEntries(this.#buffers[name]!, (part) => pick(this.#buffers[name]![part]!)))) // prettier-ignore
  }

  /** Tokens as they come back after they were stored; new tensors, or the same. */
  stored(tokens: Tokens): Tokens {
    return mapEntries(this.streams, (name) => this.#decode(name, this.#storages[name]!.encode(tokens[name]!)))
  }

  /** Stores tokens. */
  write(tokens: Tokens, runs: readonly Run[]): void {
    tf.tidy(() =>
      this.#put(
        mapEntries(this.streams, (name) => this.#storages[name]!.encode(tokens[name]!)),
        runs,
      ),
    )
  }

  /** Copies the first rows of a place to another one, as they are stored. */
  copy(from: number, to: number, count: number): void {
    tf.tidy(() => {
      const taken = mapEntries(this.#buffers, (name) =>
        mapEntries(this.#buffers[name]!, (part) => takePlaces(this.#buffers[name]![part]!, [[from]])),
      )
      this.#put(taken, [{ sequence: 0, from: 0, place: to, slot: 0, count }])
    })
  }

  /** The same rows; the buffers are shared until either is written. */
  fork(): StoredRows {
    const other = new StoredRows(this.streams, this.places, this.slots, this.#storages, this.#buffers)
    other.#isShared = this.#isShared = true
    return other
  }

  /** The same rows with room for more places; these are not to be used any more. */
  grown(places: number): StoredRows {
    const grown = new StoredRows(this.streams, places, this.slots, this.#storages)
    const runs = Array.from({ length: this.places }, (_, place) => ({ sequence: place, from: 0, place, slot: 0, count: this.slots })) // prettier-ignore
    tf.tidy(() => grown.#put(this.#buffers, runs))
    this.dispose()
    return grown
  }

  dispose(): void {
    tf.dispose(this.#tensors())
  }

  #put(rows: Buffers, runs: readonly Run[]): void {
    const isShared = this.#isShared
    this.#buffers = mapEntries(this.#buffers, (name) =>
      mapEntries(this.#buffers[name]!, (part) => {
        const buffer = this.#buffers[name]![part]!
        const own = isShared && writesInPlace() ? copied(buffer) : buffer
        const written = tf.keep(writeRows(own, rows[name]![part]!, runs))
        if (written !== buffer) buffer.dispose()
        return written
      }),
    )
    this.#isShared = false
  }

  #decode(name: string, parts: Readonly<Record<string, tf.Tensor4D>>): tf.Tensor4D {
    return this.#storages[name]!.decode(parts, this.streams[name]![1])
  }

  #tensors(): tf.Tensor4D[] {
    return Object.values(this.#buffers).flatMap((parts) => Object.values(parts))
  }
}

/**
 * The storage of each stream.
 * @throws TypeError when one has none
 */
export function storagesOf(streams: Streams, storage: StorageOption = float32()): Readonly<Record<string, Storage>> {
  return mapEntries(streams, (name) => {
    const own = isStorage(storage) ? storage : storage[name]
    if (!isStorage(own)) throw new TypeError(`storage: expected one, or one for each of ${Object.keys(streams).join(', ')}`) // prettier-ignore
    return own
  })
}

/** Bytes of one token, as it is stored. */
export function tokenBytes(streams: Streams, storage?: StorageOption): number {
  const storages = storagesOf(streams, storage)
  return Object.entries(streams).reduce((sum, [name, [heads, width]]) => sum + heads * rowBytes(storages[name]!, width), 0) // prettier-ignore
}
