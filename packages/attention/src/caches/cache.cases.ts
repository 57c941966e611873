import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ContiguousCache } from './contiguous/contiguous.ts'
import { LatentCache } from './latent/latent.ts'

/** What happens to a cache: tokens come, or are forgotten. */
type Event = { readonly append: number } | { readonly truncate: readonly [number, number] } | { readonly fork: true }

/** The elements of one head: its sequence's tokens. */
type Model = number[][][]

const streams = { k: [2, 3], v: [1, 4] } as const

/** Cases of the caches, on the current backend. */
export function cacheCases(): void {
  it('holds what a list of tokens would hold, whatever happens', async () => {
    const events = fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 4 }).map((append): Event => ({ append })),
        fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })).map((truncate): Event => ({ truncate })), // prettier-ignore
        fc.constant<Event>({ fork: true }),
      ),
      { minLength: 1, maxLength: 8 },
    )
    await fc.assert(
      fc.asyncProperty(events, async (list) => {
        const before = tf.memory().numTensors
        let cache = new ContiguousCache(streams, { batch: 2, capacity: 9 })
        let model: Record<'k' | 'v', Model> = { k: empty(2), v: empty(1) }
        let left: { cache: ContiguousCache; model: typeof model } | undefined
        for (const [seed, event] of list.entries()) {
          if ('append' in event) {
            if (Math.max(...cache.lengths) + event.append > 9) continue
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

  it('measures its bytes, and frees them', () => {
    const before = tf.memory().numBytes
    const cache = new ContiguousCache(streams, { batch: 2, capacity: 9 })
    expect(cache.bytes).toBe(2 * 9 * (2 * 3 + 4) * 4)
    expect(tf.memory().numBytes - before).toBe(cache.bytes)
    cache.dispose()
    expect(cache.bytes).toBe(0)
    expect(tf.memory().numBytes).toBe(before)
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
    const live = tf.slice(cache.read()['k']!, [0, 0, 0, 0], [1, 1, 2, 2])
    expect(Array.from(await live.data())).toEqual([5, 6, 7, 8])
    append([9, 9])
    const again = tf.slice(cache.read()['k']!, [0, 0, 0, 0], [1, 1, 3, 2])
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

  it('refuses what does not fit, by name', () => {
    const cache = new ContiguousCache(streams, { batch: 2, capacity: 3 })
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
    expect(() => new LatentCache({ batch: 1, capacity: 1, rank: 0, ropeDim: 0 })).toThrow(/^rank/)
    expect(() => new LatentCache({ batch: 1, capacity: 1, rank: 1, ropeDim: -1 })).toThrow(/^ropeDim/)
    cache.dispose()
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

async function expectStored(cache: ContiguousCache, model: Record<'k' | 'v', Model>): Promise<void> {
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
