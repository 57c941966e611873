import * as tf from '@tensorflow/tfjs-core'
import { describeShape, describeValue, requireInteger, requireShape } from '@x/core-gpu'
import { type CacheKindOptions, everything, type KvCache, type Reach, type ReadOptions, type StoredBlock, type Streams, type Tokens } from './cache.ts' // prettier-ignore

// Numbers of a block of tokens that must be unpacked or gathered to be read: 4 MiB.
const blockNumbers = 1 << 20

/** What all caches do alike: checking what comes, counting it, and giving copies of it. */
export abstract class BaseCache implements KvCache {
  readonly capacity: number
  readonly streams: Streams
  readonly reach: Reach
  protected counts: readonly number[]

  /** @throws RangeError naming the option that is out of range */
  protected constructor(streams: Streams, { batch, capacity }: CacheKindOptions, reach: Reach = everything) {
    requireInteger('batch', batch, 1)
    if (capacity !== Infinity) requireInteger('capacity', capacity, 1)
    this.capacity = capacity
    this.streams = streams
    this.reach = reach
    this.counts = Array.from({ length: batch }, () => 0)
  }

  abstract get bytes(): number
  abstract blocks(options?: ReadOptions): readonly StoredBlock[]
  abstract fork(): KvCache
  abstract dispose(): void
  /** Stores tokens, which fit, behind the present counts; those change afterwards. */
  protected abstract store(tokens: Tokens, added: number): void
  /** Gives up what is beyond the new counts, which are not more than the present ones; those change afterwards. */
  protected abstract forget(counts: readonly number[]): void

  get lengths(): readonly number[] {
    return this.counts
  }

  append(tokens: Tokens): void
  append<T extends tf.TensorContainer>(
    tokens: Tokens,
    use: (blocks: readonly StoredBlock[]) => T,
    options?: ReadOptions,
  ): T
  append<T extends tf.TensorContainer>(
    tokens: Tokens,
    use?: (blocks: readonly StoredBlock[]) => T,
    options: ReadOptions = {},
  ): T | void {
    const added = this.#requireTokens(tokens)
    return this.take(tokens, added, use && ((blocks) => tf.tidy(() => use(blocks))), options)
  }

  /** Stores tokens, and hands over what their queries see. */
  protected take<T>(
    tokens: Tokens,
    added: number,
    use: ((blocks: readonly StoredBlock[]) => T) | undefined,
    options: ReadOptions,
  ): T | void {
    this.store(tokens, added)
    this.counts = this.counts.map((count) => count + added)
    return use?.(this.blocks(options))
  }

  truncate(lengths: number | readonly number[]): void {
    const wanted = typeof lengths === 'number' ? this.counts.map(() => lengths) : [...lengths]
    if (wanted.length !== this.counts.length)
      throw new RangeError(`lengths: expected ${this.counts.length} of them, got ${wanted.length}`)
    wanted.forEach((length, sequence) => {
      const most = this.counts[sequence]!
      if (!Number.isInteger(length) || length < 0 || length > most)
        throw new RangeError(`lengths: expected whole numbers from 0 to ${most}, got ${describeValue(length)}`)
    })
    this.forget(wanted)
    this.counts = wanted
  }

  export(): Record<string, tf.Tensor4D> {
    return tf.tidy(() => {
      const blocks = this.blocks()
      const read = blocks.map((block) => block.read())
      const orders = this.counts.map((_, sequence) => storedOrder(blocks, sequence))
      const most = Math.max(...orders.map(({ length }) => length))
      return Object.fromEntries(
        Object.entries(this.streams).map(([name, [heads, width]]) => {
          if (most === 0) return [name, tf.zeros([orders.length, heads, 0, width])]
          const all = tf.concat(read.map((tokens) => tokens[name]!), 2) // prettier-ignore
          const sequences = orders.map((order, at) => {
            const zeros = tf.zeros([1, heads, most - order.length, width]) as tf.Tensor4D
            if (order.length === 0) return zeros
            const own = tf.gather(tf.slice(all, [at, 0, 0, 0], [1, -1, -1, -1]), tf.tensor1d([...order], 'int32'), 2)
            return order.length === most ? own : tf.concat([own, zeros], 2)
          })
          return [name, tf.concat(sequences, 0)]
        }),
      ) as Record<string, tf.Tensor4D>
    })
  }

  /** How many tokens are unpacked or gathered at a time. */
  protected get blockSlots(): number {
    const perToken = Object.values(this.streams).reduce((sum, [heads, width]) => sum + heads * width, 0)
    return Math.max(16, Math.floor(blockNumbers / (this.counts.length * perToken)))
  }

  /** @returns how many tokens of each sequence there are */
  #requireTokens(tokens: Tokens): number {
    const names = Object.keys(this.streams)
    const unknown = Object.keys(tokens).find((name) => !names.includes(name))
    if (unknown !== undefined)
      throw new RangeError(`tokens: unknown stream "${unknown}"; known are ${names.join(', ')}`)
    let added: number | null = null
    for (const [name, [heads, width]] of Object.entries(this.streams)) {
      requireShape(`tokens.${name}`, tokens[name]!, [this.counts.length, heads, added, width])
      if (tokens[name]!.dtype !== 'float32')
        throw new RangeError(`tokens.${name}: expected float32, got ${tokens[name]!.dtype}`)
      added = tokens[name]!.shape[2]
    }
    const longest = Math.max(...this.counts)
    if (longest + added! > this.capacity)
      throw new RangeError(
        `tokens: expected at most ${this.capacity - longest} more positions in a cache of ${this.capacity}, got ` +
          describeShape(tokens[names[0]!]!.shape),
      )
    return added!
  }
}

/** Position of a block's slot; negative where it is empty. */
function positionOf({ positions, until }: StoredBlock, sequence: number, slot: number): number {
  const position = typeof positions === 'number' ? positions + slot : (positions[sequence] ?? positions[0]!)[slot]!
  return position < until[sequence]! ? position : -1
}

/** Places of a sequence's tokens among the slots of all blocks, by position. */
function storedOrder(blocks: readonly StoredBlock[], sequence: number): readonly number[] {
  let before = 0
  const found: { at: number; position: number }[] = []
  for (const block of blocks) {
    for (let slot = 0; slot < block.slots; slot++) {
      const position = positionOf(block, sequence, slot)
      if (position >= 0) found.push({ at: before + slot, position })
    }
    before += block.slots
  }
  return found.sort((a, b) => a.position - b.position).map(({ at }) => at)
}

/** Blocks of at most so many tokens that follow one another from position 0. */
export function blocksInRow(
  until: readonly number[],
  slots: number,
  read: (from: number, count: number) => Tokens,
): StoredBlock[] {
  const longest = Math.max(...until)
  return Array.from({ length: Math.ceil(longest / slots) }, (_, i) => {
    const count = Math.min(slots, longest - i * slots)
    return { slots: count, positions: i * slots, until, read: () => read(i * slots, count) }
  })
}
