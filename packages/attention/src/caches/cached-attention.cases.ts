import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Attention } from '../attention.ts'
import { alibi } from '../positions/alibi/alibi.ts'
import { rope } from '../positions/rope/rope.ts'
import { gla } from '../projections/gla/gla.ts'
import { gqa } from '../projections/gqa/gqa.ts'
import { gta } from '../projections/gta/gta.ts'
import { mfa } from '../projections/mfa/mfa.ts'
import { mha } from '../projections/mha/mha.ts'
import { mla } from '../projections/mla/mla.ts'
import { mqa } from '../projections/mqa/mqa.ts'
import { tpa } from '../projections/tpa/tpa.ts'
import { float16 } from '../storages/float16/float16.ts'
import { float32 } from '../storages/float32/float32.ts'
import { fp8 } from '../storages/fp8/fp8.ts'
import { int8 } from '../storages/int8/int8.ts'
import type { CacheKind, CacheOptions, KvCache } from './cache.ts'
import { paged, type PagedCache } from './paged/paged.ts'
import { PagePool } from './paged/page-pool.ts'
import { perChannel } from './per-channel/per-channel.ts'
import { ring } from './ring/ring.ts'

const [batch, length, dim] = [2, 7, 8]
const common = { dim, heads: 4, positions: rope() }
const latents = { dim, heads: 4, kvRank: 4, nopeDim: 4, ropeDim: 2 }

/** Every way to make keys and values. */
const attentions: readonly [name: string, make: () => Attention][] = [
  ['mha', () => mha({ ...common, key: key(1) })],
  ['gqa', () => gqa({ ...common, groups: 2, key: key(2) })],
  ['mqa', () => mqa({ ...common, key: key(3) })],
  ['mla', () => mla({ ...latents, key: key(4) })],
  ['mla, absorbed', () => mla({ ...latents, path: 'absorbed', key: key(4) })],
  ['gla', () => gla({ ...latents, key: key(5) })],
  ['gta', () => gta({ dim, heads: 4, groups: 2, headDim: 4, key: key(6) })],
  ['tpa', () => tpa({ ...common, key: key(7) })],
  ['mfa', () => mfa({ ...common, headDim: 6, queryRank: 4, key: key(8) })],
]

/** Kinds that keep every number as it is; a page or a group is smaller than a sequence. */
const exact: readonly [name: string, options: (attention: Attention) => Omit<CacheOptions, 'batch' | 'capacity'>][] = [
  ['paged', () => ({ kind: paged({ pageSize: 2 }) })],
  ['ring', () => ({ kind: ring() })],
  ['per-channel', (attention) => ({ kind: perChannel({ group: 2, channels: firstStream(attention) }), storage: float32() })], // prettier-ignore
]

/** Cases of attention through caches, on the current backend. */
export function cachedAttentionCases({ few = false } = {}): void {
  describe.each(few ? attentions.filter(([name]) => name === 'mla') : attentions)('%s', (_, make) => {
    it.each(exact)(
      'gives through a %s cache what it gives at once, however the sequence is cut',
      async (_, options) => {
        const attention = make()
        const before = tf.memory().numTensors
        const x = key(10).normal<tf.Rank.R3>([batch, length, dim])
        const whole = attention.forward(x)
        const cuts = Array.from({ length: length - 1 }, (_, at) => [at + 1, length - at - 1])
        for (const chunks of few ? [[3, 1, 3]] : [[1, 1, 1, 1, 1, 1, 1], [3, 1, 3], ...cuts]) {
          const cache = attention.createCache({ batch, capacity: length + 1, ...options(attention) })
          const y = inChunks(attention, x, chunks, cache)
          await expectClose(y, whole)
          cache.dispose()
          y.dispose()
        }
        tf.dispose([x, whole])
        expect(tf.memory().numTensors).toBe(before)
        attention.dispose()
      },
    )

    it('takes drafts back from a paged cache, and keeps forks apart', async () => {
      const attention = make()
      const before = tf.memory().numTensors
      const [x, draft] = [10, 11].map((seed) => key(seed).normal<tf.Rank.R3>([batch, length, dim])) as [tf.Tensor3D, tf.Tensor3D] // prettier-ignore
      const whole = attention.forward(x)
      const [first, second] = tf.split(x, [3, length - 3], 1) as [tf.Tensor3D, tf.Tensor3D]
      const expected = tf.slice(whole, [0, 3, 0], [-1, -1, -1])
      const cache = attention.createCache({ batch, capacity: 2 * length, kind: paged({ pageSize: 2 }) })
      tf.dispose([attention.forward(first, { cache }), attention.forward(draft, { cache })])
      const fork = cache.fork()
      for (const each of [fork, cache]) {
        each.truncate(3)
        const y = attention.forward(second, { cache: each })
        await expectClose(y, expected)
        y.dispose()
        each.dispose()
      }
      tf.dispose([x, draft, whole, first, second, expected])
      expect(tf.memory().numTensors).toBe(before)
      attention.dispose()
    })

    it('reads what an int8 cache keeps block by block as it reads it at once', async () => {
      const attention = make()
      const x = key(12).normal<tf.Rank.R3>([batch, length, dim])
      const cache = attention.createCache({ batch, capacity: length, storage: int8() })
      const blocks = attention.createCache({ batch, capacity: length, storage: int8() })
      // Blocks of three tokens, the last of which is not full.
      Object.defineProperty(blocks, 'blockSlots', { value: 3 })
      const [a, b] = [cache, blocks].map((each) => inChunks(attention, x, [4, 2, 1], each)) as [
        tf.Tensor3D,
        tf.Tensor3D,
      ]
      await expectClose(b, a)
      const whole = attention.forward(x)
      const difference = tf.max(tf.abs(tf.sub(whole, a)))
      expect((await difference.data())[0]).toBeLessThan(0.05)
      expect((await difference.data())[0]).toBeGreaterThan(0)
      tf.dispose([x, a, b, whole, difference])
      for (const each of [cache, blocks]) each.dispose()
      attention.dispose()
    })
  })

  it.each([
    ['float16', float16(), 2e-3],
    ['int8', int8(), 2e-2],
    ['int8 in groups', int8({ group: 2 }), 2e-2],
    ['fp8', fp8(), 1e-1],
  ] as const)('is near in %s, but not the same', async (_, storage, tolerance) => {
    const attention = gqa({ ...common, groups: 2, headDim: 4, window: 4, key: key(2) })
    const x = key(13).normal<tf.Rank.R3>([batch, length, dim])
    const whole = attention.forward(x)
    for (const options of [{ storage }, { storage, kind: ring() }, { storage, kind: paged({ pageSize: 3 }) }]) {
      const cache = attention.createCache({ batch, capacity: length, ...options })
      const y = inChunks(attention, x, [3, 4], cache)
      const difference = tf.max(tf.abs(tf.sub(whole, y)))
      const [error] = await difference.data()
      expect(error).toBeLessThan(tolerance)
      expect(error).toBeGreaterThan(0)
      tf.dispose([y, difference])
      cache.dispose()
    }
    tf.dispose([x, whole])
    attention.dispose()
  })

  it('goes round in a ring as under the window and the first keys, whatever the chunks and the spare room', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          window: fc.integer({ min: 1, max: 5 }),
          keepFirst: fc.integer({ min: 0, max: 3 }),
          spare: fc.integer({ min: 0, max: 3 }),
          chunks: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }),
          encoding: fc.constantFrom(rope(), alibi()),
        }),
        async ({ window, keepFirst, spare, chunks, encoding }) => {
          const attention = gqa({ ...common, groups: 2, positions: encoding, window, keepFirst, key: key(2) })
          const total = chunks.reduce((sum, chunk) => sum + chunk, 0)
          const x = key(14).normal<tf.Rank.R3>([batch, total, dim])
          const whole = attention.forward(x)
          const cache = attention.createCache({ batch, capacity: Infinity, kind: ring({ spare }) })
          expect(cache.bytes).toBe(batch * (keepFirst + window + spare) * 2 * 4 * 4)
          const y = inChunks(attention, x, chunks, cache)
          await expectClose(y, whole)
          cache.dispose()
          tf.dispose([x, whole, y])
          attention.dispose()
        },
      ),
      { numRuns: few ? 3 : 25 },
    )
  })

  it('takes as many drafts back from a full ring as it has room to spare for', async () => {
    const attention = gqa({ ...common, groups: 2, window: 3, keepFirst: 1, key: key(2) })
    const [x, draft] = [15, 16].map((seed) => key(seed).normal<tf.Rank.R3>([batch, length, dim])) as [tf.Tensor3D, tf.Tensor3D] // prettier-ignore
    const whole = attention.forward(x)
    const cache = attention.createCache({ batch, capacity: 40, kind: ring({ spare: 2 }) })
    const [first, second] = tf.split(x, [5, length - 5], 1) as [tf.Tensor3D, tf.Tensor3D]
    const drafts = tf.slice(draft, [0, 0, 0], [-1, 3, -1])
    tf.dispose([attention.forward(first, { cache }), attention.forward(drafts, { cache })])
    expect(() => cache.truncate(4)).toThrow(/^lengths: expected at most 3 tokens to be taken back from a full ring/)
    cache.truncate(5)
    const y = attention.forward(second, { cache })
    const expected = tf.slice(whole, [0, 5, 0], [-1, -1, -1])
    await expectClose(y, expected)
    cache.truncate(0)
    expect(cache.lengths).toEqual([0, 0])
    const again = inChunks(attention, x, [2, 5], cache)
    await expectClose(again, whole)
    cache.dispose()
    tf.dispose([x, draft, whole, first, second, drafts, y, expected, again])
    attention.dispose()
  })

  it('refuses a ring that keeps less than an attention sees', () => {
    const [narrow, wide] = [2, 3].map((window) => gqa({ ...common, groups: 2, window })) as Attention[] as [
      Attention,
      Attention,
    ]
    const cache = narrow.createCache({ batch, capacity: 9, kind: ring() })
    const x = tf.zeros([batch, 1, dim]) as tf.Tensor3D
    expect(() => wide.forward(x, { cache })).toThrow(/^cache: expected one that keeps what the attention sees, got one for the last 2/) // prettier-ignore
    expect(cache.lengths).toEqual([0, 0])
    cache.dispose()
    x.dispose()
    for (const attention of [narrow, wide]) attention.dispose()
  })

  it('finds tokens in whatever pages they lie, and shares those of a common beginning', async () => {
    const attention = mla({ ...latents, key: key(4) }) as Attention & { projection: { streams: KvCache['streams'] } }
    const pool = new PagePool(attention.projection.streams, { pageSize: 2, pages: 2 })
    const kind = paged({ pool })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
        fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: length - 1 }),
        async (holes, chosen, cut) => {
          // Others come and go first, so that free pages are in any order.
          const others = holes.map((count) => filled(attention, kind, count))
          others.filter((_, i) => i % 2 === 0).forEach((other) => other.dispose())
          const x = key(17).normal<tf.Rank.R3>([batch, length, dim])
          const whole = attention.forward(x)
          const cache = attention.createCache({ batch, capacity: length, kind }) as PagedCache
          const [first, second] = tf.split(x, [cut, length - cut], 1) as [tf.Tensor3D, tf.Tensor3D]
          attention.forward(first, { cache }).dispose()
          const held = cache.bytes
          const several = cache.select(chosen)
          expect(several.bytes).toBeLessThanOrEqual(held)
          const rows = tf.tidy(() => tf.gather(second, tf.tensor1d(chosen, 'int32')))
          const y = attention.forward(rows, { cache: several })
          const expected = tf.tidy(() => tf.slice(tf.gather(whole, tf.tensor1d(chosen, 'int32')), [0, cut, 0], [-1, -1, -1])) // prettier-ignore
          await expectClose(y, expected)
          // The one they were made of goes on by itself.
          const z = attention.forward(second, { cache })
          const rest = tf.slice(whole, [0, cut, 0], [-1, -1, -1])
          await expectClose(z, rest)
          several.dispose()
          cache.dispose()
          others.filter((_, i) => i % 2 === 1).forEach((other) => other.dispose())
          expect(pool.free).toBe(pool.pages)
          tf.dispose([x, whole, first, second, rows, y, expected, z, rest])
        },
      ),
      { numRuns: few ? 3 : 20 },
    )
    expect(() => paged({ pool, pageSize: 3 }).create(pool.streams, { batch: 1, capacity: 4 })).toThrow(/^pageSize/)
    expect(() => kind.create({ k: [1, 2] }, { batch: 1, capacity: 4 })).toThrow(/^pool/)
    expect(() => kind.create(pool.streams, { batch: 1, capacity: 4, storage: int8() })).toThrow(/^storage/)
    const cache = filled(attention, kind, 1)
    expect(() => cache.select([2])).toThrow(/^sequences: expected some of 0 to 1, got 2/)
    cache.dispose()
    pool.dispose()
    attention.dispose()
  })
}

/** A cache with some tokens in it. */
function filled(attention: Attention, kind: CacheKind, count: number): PagedCache {
  const cache = attention.createCache({ batch, capacity: length, kind }) as PagedCache
  const x = tf.ones([batch, count, dim]) as tf.Tensor3D
  if (count > 0) attention.forward(x, { cache }).dispose()
  x.dispose()
  return cache
}

function firstStream(attention: Attention): string[] {
  const { projection } = attention as Attention & { projection: { streams: KvCache['streams'] } }
  return Object.keys(projection.streams).slice(0, 1)
}

function inChunks(attention: Attention, x: tf.Tensor3D, chunks: readonly number[], cache: KvCache): tf.Tensor3D {
  return tf.tidy(() => {
    let from = 0
    const outputs = chunks.map((count) => {
      const part = tf.slice(x, [0, from, 0], [-1, count, -1])
      from += count
      return attention.forward(part, { cache })
    })
    return tf.concat(outputs, 1)
  })
}

async function expectClose(a: tf.Tensor, b: tf.Tensor): Promise<void> {
  expect(a.shape).toEqual(b.shape)
  const tolerance = tf.getBackend() === 'webgpu' ? 5e-5 : 1e-5
  const [left, right] = [await a.data(), await b.data()]
  left.forEach((value, i) => expect(Math.abs(value - right[i]!)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(right[i]!)))) // prettier-ignore
}
