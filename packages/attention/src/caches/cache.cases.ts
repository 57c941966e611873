import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { columns } from '../storages/columns/columns.ts'
import { float16 } from '../storages/float16/float16.ts'
import { float32 } from '../storages/float32/float32.ts'
import { fp8 } from '../storages/fp8/fp8.ts'
import { int8 } from '../storages/int8/int8.ts'
import type { Storage } from '../storages/storage.ts'
import type { CacheKind, KvCache } from './cache.ts'
import { cacheBytes } from './cache-bytes.ts'
import { contiguous, ContiguousCache } from './contiguous/contiguous.ts'
import { LatentCache } from './latent/latent.ts'
import { paged, PagedCache } from './paged/paged.ts'
import { perChannel } from './per-channel/per-channel.ts'
import { ring } from './ring/ring.ts'

/** What happens to a cache: tokens come, or are forgotten. */
type Event = { readonly append: number } | { readonly truncate: readonly [number, number] } | { readonly fork: true }

/** The elements of one head: its sequence's tokens. */
type Model = number[][][]

const streams = { k: [2, 3], v: [1, 4] } as const
const capacity = 9

/** Kinds of caches that keep everything as it was, with pages, groups and rings that are smaller than the sequences. */
const kinds: readonly CacheKind[] = [contiguous(), paged({ pageSize: 2 }), perChannel({ group: 2 }), ring()]

/** Storages of rows of 3 and 4 numbers, and how far off they may be, relative to the greatest number of a row. */
const storages: readonly [Storage, number][] = [
  [float32(), 0],
  [int8(), 0.5 / 127],
  [fp8(), 1 / 16],
  [columns([2, float16()], [1, int8()]), 1 / 200],
]

/** Cases of the caches, on the current backend. */
export function cacheCases(): void {
  it.each(kinds)('$kind holds what a list of tokens would hold, whatever happens', async (kind) => {
    const events = fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 4 }).map((append): Event => ({ append })),
        fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 })).map((truncate): Event => ({ truncate })), // prettier-ignore
        fc.constant<Event>({ fork: true }),
      ),
      { minLength: 1, maxLength: 8 },
    )
    await fc.assert(
      fc.asyncProperty(events, async (list) => {
        const before = tf.memory().numTensors
        let cache = kind.create(streams, { batch: 2, capacity, storage: float32() })
        let model: Record<'k' | 'v', Model> = { k: empty(2), v: empty(1) }
        let left: { cache: KvCache; model: typeof model } | undefined
        for (const [seed, event] of list.entries()) {
          if ('append' in event) {
            if (Math.max(...cache.lengths) + event.append > capacity) continue
            const tokens = tokensOf(event.append, seed)
            cache.append(tokens)
            for (const name of ['k', 'v'] as const) await grow(model[name], tokens[name])
            tf.dispose(tokens)
          } else if ('truncate' in event) {
            const lengths = cache.lengths.map((length, i) => Math.min(length, event.truncate[i]!))
            cache.truncate(lengths)
            const width = { k: 3, v: 4 }
            for (const name of ['k', 'v'] as const)
              model[name].forEach((heads, i) => heads.forEach((head) => head.splice(lengths[i]! * width[name])))
          } else {
            left?.cache.dispose()
            left = { cache, model: structuredClone(model) }
            cache = cache.fork()
          }
        }
        await expectStored(cache, model)
        // What the fork did must not show in what it was made of.
        if (left) await expectStored(left.cache, left.model)
        model = { k: [], v: [] }
        cache.dispose()
        left?.cache.dispose()
        expect(tf.memory().numTensors).toBe(before)
      }),
      { numRuns: 20 },
    )
  })

  it.each(kinds)('$kind measures its bytes as they are in memory and as they are foretold, and frees them', (kind) => {
    for (const [storage] of storages.slice(0, 3)) {
      const before = tf.memory().numBytes
      const cache = kind.create(streams, { batch: 2, capacity, storage })
      const tokens = tokensOf(5, 1)
      cache.append(tokens)
      tf.dispose(tokens)
      const inUse = tf.memory().numBytes - before
      expect(cache.bytes).toBe(cacheBytes(streams, { batch: 2, capacity, kind, storage, length: 5 }))
      expect(cache instanceof PagedCache ? cache.pool.bytes : cache.bytes).toBe(inUse)
      cache.dispose()
      expect(cache.bytes).toBe(0)
      expect(tf.memory().numBytes).toBe(before)
    }
  })

  it.each(kinds)('$kind keeps numbers in any storage, as close as it can', async (kind) => {
    for (const [storage, most] of storages.slice(0, 3)) {
      const cache = kind.create(streams, { batch: 2, capacity, storage })
      const tokens = tokensOf(7, 2)
      const parts = tf.tidy(() => [0, 3].map((from) => ({ k: tf.slice(tokens.k, [0, 0, from, 0], [-1, -1, from ? 4 : 3, -1]), v: tf.slice(tokens.v, [0, 0, from, 0], [-1, -1, from ? 4 : 3, -1]) }))) // prettier-ignore
      for (const part of parts) cache.append(part)
      const stored = cache.export()
      for (const name of ['k', 'v'] as const) {
        const greatest = tf.max(tf.abs(tokens[name]))
        const error = tf.max(tf.abs(tf.sub(stored[name]!, tokens[name])))
        const bound = most * (await greatest.data())[0]! * 1.001
        expect((await error.data())[0]).toBeLessThanOrEqual(bound)
        if (most > 0 && kind.kind !== 'per-channel') expect((await error.data())[0]).toBeGreaterThan(0)
        tf.dispose([greatest, error])
      }
      tf.dispose([tokens, parts, stored])
      cache.dispose()
    }
  })

  it('stores streams in ways of their own', () => {
    const cache = contiguous().create(streams, { batch: 1, capacity: 4, storage: { k: int8(), v: float16() } })
    expect(cache.bytes).toBe(4 * (2 * (4 + 4) + 1 * 8))
    cache.dispose()
    const mixed = contiguous().create({ k: [1, 3] }, { batch: 1, capacity: 4, storage: storages[3]![0] })
    expect(mixed.bytes).toBe(4 * (4 + 4 + 4))
    mixed.dispose()
  })

  it('gives copies that a later token does not change', async () => {
    const cache = new ContiguousCache({ k: [1, 2] }, { batch: 1, capacity: 4 })
    const append = (values: number[]): void => {
      const k = tf.tensor4d(values, [1, 1, values.length / 2, 2])
      cache.append({ k })
      k.dispose()
    }
    append([1, 2, 3, 4])
    const exported = cache.export()['k']!
    cache.truncate(0)
    append([5, 6, 7, 8])
    expect(Array.from(await exported.data())).toEqual([1, 2, 3, 4])
    // A read of the live buffer does not hide what comes after it either.
    const live = tf.slice(cache.blocks()[0]!.read()['k']!, [0, 0, 0, 0], [1, 1, 2, 2])
    expect(Array.from(await live.data())).toEqual([5, 6, 7, 8])
    append([9, 9])
    const again = tf.slice(cache.blocks()[0]!.read()['k']!, [0, 0, 0, 0], [1, 1, 3, 2])
    expect(Array.from(await again.data())).toEqual([5, 6, 7, 8, 9, 9])
    tf.dispose([exported, live, again])
    cache.dispose()
  })

  it('leaves nothing behind, also in a tidy', async () => {
    expect(
      await countLeaks(() => {
        const cache = tf.tidy(() => {
          const made = new LatentCache({ batch: 1, capacity: 3, rank: 2, ropeDim: 2 })
          made.append({ tokens: tf.ones([1, 1, 2, 4]) })
          return made as unknown as tf.TensorContainer
        }) as unknown as LatentCache
        const parts = cache.exportParts()
        expect([parts.latent.shape, parts.key.shape]).toEqual([
          [1, 1, 2, 2],
          [1, 1, 2, 2],
        ])
        const fork = cache.fork()
        expect(fork).toBeInstanceOf(LatentCache)
        fork.append({ tokens: tf.tidy(() => tf.keep(tf.zeros([1, 1, 1, 4]))) })
        fork.dispose()
        cache.dispose()
        return [parts.latent, parts.key]
      }),
    ).toBe(1) // the tokens that this test made
  })

  it.each(kinds)('$kind refuses what does not fit, by name', (kind) => {
    const cache = kind.create(streams, { batch: 2, capacity: 3 })
    const [k, v] = [tf.zeros([2, 2, 2, 3]) as tf.Tensor4D, tf.zeros([2, 1, 2, 4]) as tf.Tensor4D]
    expect(() => cache.append({ k })).toThrow(/^tokens\.v: expected a tensor, got undefined/)
    expect(() => cache.append({ k, v, w: v })).toThrow(/^tokens: unknown stream "w"/)
    expect(() => cache.append({ k: v, v })).toThrow(/^tokens\.k: expected shape \[2, 2, \?, 3\]/)
    expect(() => cache.append({ k, v: tf.zeros([2, 1, 1, 4]) })).toThrow(/^tokens\.v: expected shape \[2, 1, 2, 4\]/)
    expect(() => cache.append({ k, v: tf.zeros([2, 1, 2, 4], 'int32') })).toThrow(/^tokens\.v: expected float32/)
    cache.append({ k, v })
    expect(() => cache.append({ k, v })).toThrow(/^tokens: expected at most 1 more positions in a cache of 3/)
    expect(cache.lengths).toEqual([2, 2])
    for (const wrong of [3, -1, 0.5, [1], [1, 3]]) expect(() => cache.truncate(wrong)).toThrow(/^lengths: expected/)
    expect(() => kind.create(streams, { batch: 0, capacity: 1 })).toThrow(/^batch: expected/)
    expect(() => kind.create(streams, { batch: 1, capacity: 0.5 })).toThrow(/^capacity: expected/)
    if (kind.kind !== 'paged') expect(() => kind.create(streams, { batch: 1, capacity: Infinity })).toThrow(/^capacity: expected/) // prettier-ignore
    expect(() => kind.create(streams, { batch: 1, capacity: 4, storage: { k: int8() } })).toThrow(/^storage: expected/)
    expect(() => kind.create(streams, { batch: 1, capacity: 4, storage: int8({ group: 5 }) })).toThrow(/^group: expected/) // prettier-ignore
    cache.dispose()
  })

  it('refuses options of kinds and storages by name', () => {
    expect(() => new LatentCache({ batch: 1, capacity: 1, rank: 0, ropeDim: 0 })).toThrow(/^rank/)
    expect(() => new LatentCache({ batch: 1, capacity: 1, rank: 1, ropeDim: -1 })).toThrow(/^ropeDim/)
    expect(() => paged({ pageSize: 0 })).toThrow(/^pageSize/)
    expect(() => ring({ spare: -1 })).toThrow(/^spare/)
    expect(() => perChannel({ group: 0 })).toThrow(/^group/)
    expect(() => perChannel({ channels: ['q'] }).create(streams, { batch: 1, capacity: 4 })).toThrow(/^channels/)
    expect(() => int8({ group: 0 })).toThrow(/^group/)
    expect(() => columns()).toThrow(/^parts/)
    expect(() => columns([0, int8()])).toThrow(/^parts\[0\]/)
    expect(() => columns([1, {} as Storage])).toThrow(/^parts\[0\]/)
    expect(() => contiguous().create(streams, { batch: 1, capacity: 1, storage: columns([2, int8()]) })).toThrow(/^storage/) // prettier-ignore
    expect(() => contiguous().create(streams, { batch: 1, capacity: 1, storage: float16() })).toThrow(/^storage/)
    expect(() => cacheBytes(streams, { batch: 0, capacity: 1 })).toThrow(/^batch/)
  })

  it('gives a row of zeros a scale of 0, and takes bytes to their bounds', async () => {
    const rows = [0, 0, 0, 0, 1e-30, -1e-30, 0, 0, 3e38, -3e38, 1, 0]
    const x = tf.tensor4d(rows, [1, 1, 3, 4])
    for (const storage of [int8(), fp8()]) {
      const parts = storage.encode(x)
      const back = storage.decode(parts, 4)
      const values = await back.data()
      expect((await parts['scales']!.data())[0]).toBe(0)
      expect(Array.from(values.slice(0, 4))).toEqual([0, 0, 0, 0])
      for (const [at, value] of rows.slice(8).entries())
        expect(Math.abs(values[8 + at]! - value)).toBeLessThanOrEqual(3e38 / 254)
      tf.dispose([{ ...parts }, back])
    }
    x.dispose()
  })
}

function empty(heads: number): Model {
  return Array.from({ length: 2 }, () => Array.from({ length: heads }, () => []))
}

function tokensOf(count: number, seed: number): Record<'k' | 'v', tf.Tensor4D> {
  const [a, b] = key(seed).split(2)
  return { k: a!.normal([2, 2, count, 3]), v: b!.normal([2, 1, count, 4]) }
}

async function grow(model: Model, tokens: tf.Tensor4D): Promise<void> {
  const [, heads, count, width] = tokens.shape
  const values = await tokens.data()
  model.forEach((sequence, b) =>
    sequence.forEach((head, h) => {
      const from = (b * heads + h) * count * width
      head.push(...values.slice(from, from + count * width))
    }),
  )
}

async function expectStored(cache: KvCache, model: Record<'k' | 'v', Model>): Promise<void> {
  const exported = cache.export()
  const longest = Math.max(...cache.lengths)
  for (const [name, width] of [['k', 3], ['v', 4]] as const) {
    const padded = (head: number[]): number[] => Array.from({ length: longest * width }, (_, i) => head[i] ?? 0)
    const wanted = model[name].flat().flatMap(padded)
    expect(exported[name]!.shape).toEqual([2, model[name][0]!.length, longest, width])
    expect(Array.from(longest === 0 ? [] : await exported[name]!.data())).toEqual(wanted)
  } // prettier-ignore
  tf.dispose(exported)
}
