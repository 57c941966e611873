import * as tf from '@tensorflow/tfjs-core'
import { describeShape, describeValue, requireInteger, requireShape } from '@x/core-gpu'
import type { CacheOptions, KvCache, Streams } from '../cache.ts'
import { copied, copyWithTokens, writeTokens } from '../write-tokens.ts'

/**
 * A cache that has all its room from the beginning: one buffer [B, heads, capacity, width] for each stream.
 *
 * On cpu, wasm and webgpu appending writes the new tokens and nothing else; on webgpu by one copy for each sequence and
 * head. Native TensorFlow does not let a tensor be written: there each `append` copies the buffers, so that a token costs
 * some bytes moved for every position that fits. So does the first `append` after a `fork`, on any backend.
 */
export class ContiguousCache implements KvCache {
  readonly capacity: number
  readonly streams: Streams
  #lengths: number[]
  #buffers: Record<string, tf.Tensor4D>
  /** whether another cache has the same buffers */
  #isShared = false

  /**
   * @param buffers of another cache, whose elements this one shares until either appends; default: new ones
   * @throws RangeError naming the option that is out of range
   */
  constructor(streams: Streams, { batch, capacity }: CacheOptions, buffers?: Readonly<Record<string, tf.Tensor4D>>) {
    requireInteger('batch', batch, 1)
    requireInteger('capacity', capacity, 1)
    this.capacity = capacity
    this.streams = streams
    this.#lengths = Array.from({ length: batch }, () => 0)
    this.#buffers = Object.fromEntries(
      Object.entries(streams).map(([name, [heads, width]]) => [
        name,
        tf.keep(buffers ? tf.clone(buffers[name]!) : (tf.zeros([batch, heads, capacity, width]) as tf.Tensor4D)),
      ]),
    )
  }

  /** Those of a buffer that a fork shares count for each of both. */
  get bytes(): number {
    return Object.values(this.#buffers)
      .filter(({ isDisposed }) => !isDisposed)
      .reduce((sum, { size, dtype }) => sum + size * tf.util.bytesPerElement(dtype), 0)
  }

  get lengths(): readonly number[] {
    return this.#lengths
  }

  append(tokens: Readonly<Record<string, tf.Tensor4D>>): void {
    const added = this.#requireTokens(tokens)
    for (const [name, buffer] of Object.entries(this.#buffers)) {
      if (!this.#isShared && writeTokens(buffer, tokens[name]!, this.#lengths)) continue
      this.#buffers[name] = tf.keep(copyWithTokens(buffer, tokens[name]!, this.#lengths))
      buffer.dispose()
    }
    this.#isShared = false
    this.#lengths = this.#lengths.map((length) => length + added)
  }

  read(): Readonly<Record<string, tf.Tensor4D>> {
    return this.#buffers
  }

  truncate(lengths: number | readonly number[]): void {
    const wanted = typeof lengths === 'number' ? this.#lengths.map(() => lengths) : lengths
    if (wanted.length !== this.#lengths.length)
      throw new RangeError(`lengths: expected ${this.#lengths.length} of them, got ${wanted.length}`)
    wanted.forEach((length, sequence) => {
      const most = this.#lengths[sequence]!
      if (!Number.isInteger(length) || length < 0 || length > most)
        throw new RangeError(`lengths: expected whole numbers from 0 to ${most}, got ${describeValue(length)}`)
    })
    this.#lengths = [...wanted]
  }

  fork(): this {
    const other = this.sharing(
      { batch: this.#lengths.length, capacity: this.capacity },
      this.#buffers,
    ) as ContiguousCache
    other.#lengths = [...this.#lengths]
    other.#isShared = this.#isShared = true
    return other as this
  }

  /** A cache of the same kind with these buffers. */
  protected sharing(options: CacheOptions, buffers: Readonly<Record<string, tf.Tensor4D>>): ContiguousCache {
    return new ContiguousCache(this.streams, options, buffers)
  }

  export(): Record<string, tf.Tensor4D> {
    const longest = Math.max(...this.#lengths)
    return tf.tidy(() => Object.fromEntries(Object.entries(this.#buffers).map(([name, buffer]) => {
      const stored = tf.slice(buffer, [0, 0, 0, 0], [-1, -1, longest, -1])
      if (this.#lengths.every((length) => length === longest)) return [name, copied(stored)]
      const places = tf.reshape(tf.range(0, longest, 1, 'int32'), [1, 1, longest, 1])
      const filled = tf.less(places, tf.tensor4d(this.#lengths, [this.#lengths.length, 1, 1, 1], 'int32'))
      return [name, tf.where(filled, stored, 0) as tf.Tensor4D]
    }))) // prettier-ignore
  }

  dispose(): void {
    tf.dispose(Object.values(this.#buffers))
  }

  /** @returns how many tokens of each sequence there are */
  #requireTokens(tokens: Readonly<Record<string, tf.Tensor4D>>): number {
    const names = Object.keys(this.streams)
    const unknown = Object.keys(tokens).find((name) => !names.includes(name))
    if (unknown !== undefined)
      throw new RangeError(`tokens: unknown stream "${unknown}"; known are ${names.join(', ')}`)
    let added: number | null = null
    for (const [name, [heads, width]] of Object.entries(this.streams)) {
      requireShape(`tokens.${name}`, tokens[name]!, [this.#lengths.length, heads, added, width])
      if (tokens[name]!.dtype !== 'float32')
        throw new RangeError(`tokens.${name}: expected float32, got ${tokens[name]!.dtype}`)
      added = tokens[name]!.shape[2]
    }
    const longest = Math.max(...this.#lengths)
    if (longest + added! > this.capacity)
      throw new RangeError(
        `tokens: expected at most ${this.capacity - longest} more positions in a cache of ${this.capacity}, got ` +
          describeShape(tokens[names[0]!]!.shape),
      )
    return added!
  }
}
