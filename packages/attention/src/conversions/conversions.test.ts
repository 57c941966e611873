import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { alibi, gqa, gqaToMla, mha, mhaToGqa, mhaToMla, mla, mqa, rope } from '../index.ts'
import { singularValues } from './singular-values.ts'

describe('singular values', () => {
  it('make the matrix again, with vectors at right angles, in order', () => {
    const sizes = fc.record({ rows: fc.integer({ min: 1, max: 7 }), columns: fc.integer({ min: 1, max: 7 }), seed: fc.integer({ min: 0, max: 99 }), rank: fc.integer({ min: 1, max: 7 }) }) // prettier-ignore
    fc.assert(
      fc.property(sizes, ({ rows, columns, seed, rank: terms }) => {
        // Of some terms only, so that some values are 0.
        const draw = (n: number, at: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(1 + seed + 7 * at + 3.7 * i * i)) // prettier-ignore
        const parts = Array.from({ length: terms }, (_, t) => [draw(rows, 2 * t), draw(columns, 2 * t + 1)] as const)
        const at = (i: number, j: number): number => parts.reduce((sum, [a, b]) => sum + a[i]! * b[j]!, 0)
        const matrix = Array.from({ length: rows * columns }, (_, p) => at(Math.floor(p / columns), p % columns))
        const { u, s, v, rank } = singularValues(matrix, rows, columns)
        expect(rank).toBe(Math.min(rows, columns))
        const size = Math.max(1, s[0]!)
        for (let r = 1; r < rank; r++) expect(s[r]!).toBeLessThanOrEqual(s[r - 1]!)
        for (let r = terms; r < rank; r++) expect(s[r]!).toBeLessThan(1e-12 * size)
        matrix.forEach((value, p) => {
          const [i, j] = [Math.floor(p / columns), p % columns]
          let sum = 0
          for (let r = 0; r < rank; r++) sum += u[i * rank + r]! * s[r]! * v[j * rank + r]!
          expect(Math.abs(sum - value)).toBeLessThan(1e-12 * size)
        })
        for (let a = 0; a < rank; a++)
          for (let b = 0; b < rank; b++) {
            let product = 0
            for (let j = 0; j < columns; j++) product += v[j * rank + a]! * v[j * rank + b]!
            if (s[a]! > 1e-9 && s[b]! > 1e-9) expect(product).toBeCloseTo(Number(a === b), 10)
          }
      }),
      { numRuns: 60 },
    )
  })
})

describe.each(['cpu', 'wasm'] as const)('conversions on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const x = (): tf.Tensor3D => key(9).normal<tf.Rank.R3>([2, 6, 6])

  it('GQA as MLA computes the same, with its gate, sinks, window and ALiBi, and a cache of the same size', () => {
    for (const groups of [1, 2, 4]) {
      const source = gqa({ dim: 6, heads: 4, groups, headDim: 3, valueDim: 2, positions: alibi(), window: 3, gate: 'head', sinks: 'learned', key: key(1) }) // prettier-ignore
      source.load({ ...source.state(), sinks: tf.tensor1d([0.5, -1, 2, 0]) })
      const converted = gqaToMla(source)
      const wanted = source.forward(x()).dataSync()
      converted.forward(x()).dataSync().forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5)) // prettier-ignore
      const [a, b] = [source, converted].map((attention) => attention.createCache({ batch: 1, capacity: 5 }).bytes)
      expect(b).toBe(a)
      // A copy: what is trained further leaves the source alone.
      const before = source.state()['out.weight']!.dataSync()
      converted.dispose()
      expect(source.state()['out.weight']!.dataSync()).toEqual(before)
    }
  })

  it('pooling heads that are the same loses nothing, and to as many groups is a copy', () => {
    const source = gqa({ dim: 6, heads: 4, groups: 2, headDim: 4, positions: rope(), qkNorm: true, bias: true, key: key(1) }) // prettier-ignore
    const copy = mhaToGqa(source, { groups: 2 })
    expect(copy.forward(x()).dataSync()).toEqual(source.forward(x()).dataSync())
    const state = source.state()
    const doubled = Object.entries(state).map(([name, tensor]) => {
      if (!/projection\.[kv]\./.test(name)) return [name, tensor]
      const first = tf.split(tensor, 2, 0)[0]!
      return [name, tf.concat([first, first], 0)]
    })
    source.load(Object.fromEntries(doubled) as Record<string, tf.Tensor>)
    const pooled = mhaToGqa(source, { groups: 1 })
    const wanted = source.forward(x()).dataSync()
    pooled.forward(x()).dataSync().forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5)) // prettier-ignore
    expect(() => mhaToGqa(source, { groups: 3 })).toThrow(/^groups: expected a divisor of 2, got 3/)
  })

  it('MHA as MLA of full rank computes the same, and of lower rank loses what it says', async () => {
    const source = mha({ dim: 6, heads: 2, headDim: 2, key: key(1) })
    const wanted = source.forward(x()).dataSync()
    const { attention, error, singularValues: all } = await mhaToMla(source, { rank: 6 })
    expect(error).toBe(0)
    attention.forward(x()).dataSync().forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 4)) // prettier-ignore
    const errors = await Promise.all([1, 2, 3, 4, 5].map(async (rank) => (await mhaToMla(source, { rank })).error))
    errors.forEach((lost, i) => expect(lost).toBeCloseTo(Math.hypot(...all.slice(i + 1)), 10))
    await expect(mhaToMla(source, { rank: 7 })).rejects.toThrow(/^rank: expected at most 6, got 7/)
  })

  it('refuses sources that latents have no place for, by name', async () => {
    const base = { dim: 6, heads: 2, headDim: 2 }
    for (const source of [mla({ dim: 6, heads: 2, kvRank: 2, nopeDim: 2, ropeDim: 0 }), {} as never]) {
      expect(() => gqaToMla(source)).toThrow(/^source: expected an attention of mha, gqa or mqa/)
      expect(() => mhaToGqa(source, { groups: 1 })).toThrow(/^source/)
      await expect(mhaToMla(source, { rank: 1 })).rejects.toThrow(/^source/)
    }
    for (const [source, what] of [
      [mha({ ...base, positions: rope() }), 'positions that turn nothing'],
      [mqa({ ...base, bias: true }), 'no bias'],
      [mha({ ...base, qkNorm: true }), 'no qkNorm'],
      [mha({ ...base, valueResidual: true }), 'no valueResidual'],
    ] as const) {
      expect(() => gqaToMla(source)).toThrow(new RegExp(`^source: expected ${what}`))
      await expect(mhaToMla(source, { rank: 1 })).rejects.toThrow(/^source/)
    }
  })
})
