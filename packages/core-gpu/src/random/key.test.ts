import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { key } from './key.ts'
import { threefry2x32 } from './threefry.ts'

const seeds = fc.nat({ max: Number.MAX_SAFE_INTEGER })

async function read(tensor: tf.Tensor): Promise<number[]> {
  const values = Array.from(await tensor.data())
  tensor.dispose()
  return values
}

function moments(values: ArrayLike<number>): { mean: number; variance: number } {
  const all = Array.from(values)
  const mean = all.reduce((a, b) => a + b, 0) / all.length
  return { mean, variance: all.reduce((sum, v) => sum + (v - mean) ** 2, 0) / all.length }
}

function correlation(a: number[], b: number[]): number {
  const [ma, mb] = [moments(a), moments(b)]
  const covariance = a.reduce((sum, v, i) => sum + (v - ma.mean) * (b[i]! - mb.mean), 0) / a.length
  return covariance / Math.sqrt(ma.variance * mb.variance)
}

describe('key', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it('draws the words of Threefry', () => {
    expect(Array.from(key(0).bits(2))).toEqual([0x6b200159, 0x99ba4efe])
    expect(Array.from(key(2 ** 33 + 5).bits(3))).toEqual([...threefry2x32(2, 5, 0, 0), threefry2x32(2, 5, 0, 1)[0]])
  })

  it('gives the same again, and a prefix of itself', () => {
    fc.assert(
      fc.property(seeds, fc.nat({ max: 50 }), fc.nat({ max: 50 }), (seed, a, b) => {
        const [short, long] = [Math.min(a, b), Math.max(a, b)]
        expect(key(seed).bits(long).slice(0, short)).toEqual(key(seed).bits(short))
      }),
    )
  })

  it('has children that share no word with one another or with itself', () => {
    fc.assert(
      fc.property(seeds, fc.nat({ max: 1000 }), (seed, data) => {
        const parent = key(seed)
        const family = [parent, ...parent.split(3), parent.fold(data), parent.fold(data + 1)]
        const words = family.flatMap((member) => Array.from(member.bits(4)))
        // Chance of one equal pair among 24 words: 6e-8 a run.
        expect(new Set(words).size).toBe(words.length)
      }),
    )
  })

  it('splits into keys that do not depend on how many are asked for', () => {
    const [a, b] = [key(3).split(2), key(3).split(5)]
    expect(b[1]!.bits(4)).toEqual(a[1]!.bits(4))
  })

  it('splits into uncorrelated sources', async () => {
    const children = key(11).split(4)
    const draws = await Promise.all([key(11), ...children].map((child) => read(child.normal([20_000]))))
    // Standard error 0.007.
    for (let i = 0; i < draws.length; i++)
      for (let j = 0; j < i; j++) expect(Math.abs(correlation(draws[i]!, draws[j]!))).toBeLessThan(0.035)
  })

  it('draws uniform numbers that are uniform', async () => {
    const values = await read(key(1).uniform([100_000], { min: -1, max: 3 }))
    const counts = Array.from({ length: 16 }, () => 0)
    for (const v of values) counts[Math.floor((v + 1) * 4)]! += 1
    const chiSquare = counts.reduce((sum, n) => sum + (n - 6250) ** 2 / 6250, 0)
    // 15 degrees of freedom: beyond 45 once in 15,000 seeds.
    expect(chiSquare).toBeLessThan(45)
  })

  it('keeps uniform numbers in [min, max), even where float32 would round up', async () => {
    await fc.assert(
      fc.asyncProperty(
        seeds,
        fc.integer({ min: -100, max: 100 }),
        fc.integer({ min: 1, max: 8 }),
        async (seed, min, gap) => {
          // Only a few float32 lie between: about every second draw is rounded to max without care.
          const max = min + gap * 2 ** -22
          for (const v of await read(key(seed).uniform([20], { min, max }))) expect(v >= min && v < max).toBe(true)
        },
      ),
    )
  })

  it('draws normal numbers with the moments of the normal distribution', async () => {
    const values = await read(key(2).normal([100_000], { mean: 3, standardDeviation: 2 }))
    const { mean, variance } = moments(values)
    expect(Math.abs(mean - 3)).toBeLessThan(0.03)
    expect(Math.abs(variance / 4 - 1)).toBeLessThan(0.025)
    const kurtosis = values.reduce((sum, v) => sum + ((v - 3) / 2) ** 4, 0) / values.length
    expect(Math.abs(kurtosis - 3)).toBeLessThan(0.15)
    // The two halves of a Box-Muller pair are independent.
    const [even, odd] = [values.filter((_, i) => i % 2 === 0), values.filter((_, i) => i % 2 === 1)]
    expect(Math.abs(correlation(even, odd))).toBeLessThan(0.02)
  })

  it('draws truncated normal numbers again, not from a child that the caller may use', async () => {
    const values = await read(key(4).normal([1000], { truncate: 0.5 }))
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.5)
    const folded = new Set(await read(key(4).fold(1).normal([1000])))
    expect(values.filter((v) => folded.has(v))).toEqual([])
  })

  it('draws integers evenly from low to high - 1', async () => {
    const values = await read(key(6).integers([6000], { low: -2, high: 4 }))
    for (let v = -2; v < 4; v++) {
      const count = values.filter((w) => w === v).length
      expect(Math.abs(count - 1000)).toBeLessThan(150)
    }
    expect(new Set(values).size).toBe(6)
  })

  it('permutes', () => {
    fc.assert(
      fc.property(seeds, fc.nat({ max: 60 }), (seed, n) => {
        expect(Array.from(key(seed).permutation(n)).sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        )
      }),
    )
  })

  it('permutes evenly', () => {
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 6000; seed++) {
      const order = key(seed).permutation(3).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  it('shapes what it draws', () => {
    expect(key(0).uniform([2, 3]).shape).toEqual([2, 3])
    expect(key(0).normal([]).shape).toEqual([])
    expect(key(0).integers([0], { high: 2 }).dtype).toBe('int32')
  })

  it.each([
    [() => key(-1), /seed: expected a whole number from 0 to 2\^53 - 1, got -1/],
    [() => key(0.5), /seed: .* got 0.5/],
    [() => key(0).fold(2 ** 32), /data: expected a whole number from 0 to 2\^32 - 1, got 4294967296/],
    [() => key(0).split(-1), /n: expected a whole number >= 0, got -1/],
    [() => key(0).uniform([2], { min: 1, max: 1 }), /max: expected numbers min < max, got min 1, max 1/],
    [() => key(0).normal([2], { truncate: 0 }), /truncate: expected a number > 0, got 0/],
    [() => key(0).integers([2], { high: 0 }), /high: expected whole numbers low < high, got low 0, high 0/],
  ])('refuses bad input %#', (run, message) => {
    expect(run).toThrow(message)
  })
})

describe.each(['cpu', 'wasm'] as const)('key on %s', (backend) => {
  it('gives the same numbers as anywhere', async () => {
    await useBackend(backend)
    expect(await read(key(1).integers([4], { high: 1000 }))).toEqual(
      Array.from(key(1).bits(4), (word) => Math.floor((word / 2 ** 32) * 1000)),
    )
    expect(await read(key(1).uniform([3]))).toEqual(Array.from(key(1).bits(3), (word) => (word >>> 8) / 2 ** 24))
  })
})
