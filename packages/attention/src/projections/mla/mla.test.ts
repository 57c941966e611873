import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SoftmaxAttention } from '../../softmax-attention.ts'
import { none } from '../../positions/none/none.ts'
import { rope } from '../../positions/rope/rope.ts'
import { voRope } from '../../positions/vo-rope/vo-rope.ts'
import { yarn } from '../../positions/yarn/yarn.ts'
import { attentionConformance } from '../../testing/index.ts'
import type { LatentProjection } from '../latent-projection.ts'
import { mla, type MlaOptions } from './mla.ts'

const small = { dim: 8, heads: 3, kvRank: 5, nopeDim: 4, ropeDim: 2, valueDim: 3 }

describe.each(['cpu', 'wasm'] as const)('mla on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, Partial<MlaOptions>][] = [
    ['by whichever path', {}],
    ['expanded, low-rank queries, sinks', { path: 'expanded', queryRank: 4, sinks: 'learned' }],
    ['absorbed, yarn, a gate', { path: 'absorbed', queryRank: 4, gate: 'element', positions: rope({ layout: 'interleaved', scaling: yarn({ factor: 40, originalLength: 64, growth: 'scores' }) }) }],
    ['nothing that turns, latents as they are, a window', { path: 'absorbed', ropeDim: 0, positions: none(), latentNorm: false, window: 3 }],
  ] // prettier-ignore
  describe.each(examples)('%s', (_, options) => {
    const checks = attentionConformance(mla, {
      options: (k) => ({ ...small, key: k, ...options }),
      badOptions: {
        dim: [0],
        heads: [0],
        kvRank: [0],
        queryRank: [-1, 0.5],
        nopeDim: [0],
        ropeDim: [-1, 3],
        valueDim: [0],
        latentNorm: [0],
        normEpsilon: [-1],
        path: ['naive'],
        groups: [2],
      },
      elementsPerToken: 5 + (options.ropeDim ?? 2),
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it('gives the same by either path, gradients too, at any shape', async () => {
    const sizes = fc.record({
      heads: fc.integer({ min: 1, max: 4 }),
      kvRank: fc.integer({ min: 1, max: 9 }),
      queryRank: fc.integer({ min: 0, max: 4 }),
      nopeDim: fc.integer({ min: 1, max: 5 }),
      ropeDim: fc.constantFrom(0, 2, 4),
      valueDim: fc.integer({ min: 1, max: 5 }),
      batch: fc.integer({ min: 1, max: 2 }),
      length: fc.integer({ min: 1, max: 7 }),
    })
    await fc.assert(
      fc.asyncProperty(sizes, async ({ batch, length, ...options }) => {
        const x = key(1).normal<tf.Rank.R3>([batch, length, 6])
        const [a, b] = (['expanded', 'absorbed'] as const).map((path) => {
          const attention = mla({ dim: 6, ...options, path, key: key(2) })
          const y = attention.forward(x)
          const { gradients } = valueAndGradients(attention.parameters(), () => ({
            loss: tf.sum(tf.square(attention.forward(x))),
          }))
          return Object.assign(gradients, { y: y as tf.Tensor })
        }) as Record<string, tf.Tensor>[] as [Record<string, tf.Tensor>, Record<string, tf.Tensor>]
        expect(Object.keys(a)).toEqual(Object.keys(b))
        for (const name of Object.keys(a)) {
          const [one, other] = [await a[name]!.data(), await b[name]!.data()]
          const most = Math.max(1, ...one.map(Math.abs))
          one.forEach((value, i) => expect(Math.abs(value - other[i]!)).toBeLessThanOrEqual(1e-5 * most))
        }
      }),
      { numRuns: 15 },
    )
  })

  it('chooses the path by shape: prompts expanded, single tokens absorbed', () => {
    const attention = mla({ dim: 1, heads: 2, kvRank: 512, nopeDim: 128, ropeDim: 64 }) as SoftmaxAttention<LatentProjection> // prettier-ignore
    const { projection } = attention
    expect(projection.cheaperPath({ queries: 4096, keys: 4096 })).toBe('expanded')
    expect(projection.cheaperPath({ queries: 1, keys: 4096 })).toBe('absorbed')
    expect(projection.cheaperPath({ queries: 2, keys: 100_000 })).toBe('absorbed')
    attention.dispose()
  })

  it('has a cache that no number of heads changes', () => {
    const bytes = [1, 4, 16].map((heads) => {
      const attention = mla({ dim: 4, heads, kvRank: 6, nopeDim: 4, ropeDim: 2 })
      const cache = attention.createCache({ batch: 2, capacity: 10 })
      return cache.bytes
    })
    expect(bytes).toEqual(Array.from({ length: 3 }, () => 2 * 10 * 8 * 4))
  })

  it('refuses positions that turn values, and widths that cannot turn', () => {
    expect(() => mla({ ...small, positions: voRope() })).toThrow(/^positions: expected an encoding that leaves values/)
    expect(() => mla({ ...small, ropeDim: 3 })).toThrow(/^ropeDim: expected an even number, got 3/)
  })
})
