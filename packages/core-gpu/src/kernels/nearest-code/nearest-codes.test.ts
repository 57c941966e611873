import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { type CodeMetric, nearestCodes } from './nearest-code.ts'

const row = (x: ArrayLike<number>, i: number, d: number): number[] => Array.from({ length: d }, (_, p) => x[i * d + p]!)

/** The distance by the metric, in float64. */
function distance(a: number[], b: number[], metric: CodeMetric): number {
  if (metric === 'euclidean') return a.reduce((sum, value, p) => sum + (value - b[p]!) ** 2, 0)
  return 1 - a.reduce((sum, value, p) => sum + value * b[p]!, 0) / (Math.hypot(...a) * Math.hypot(...b))
}

describe.each(deviceCases)('nearestCodes on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each(['euclidean', 'cosine'] as const)('finds the %s nearest, in order', (metric) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(1000),
        fc.nat(1000),
        (n, k, d, wanted, seed) => {
          const count = 1 + (wanted % k)
          const [x, codes] = [numbers(n * d, seed), numbers(k * d, seed + 1)]
          tf.tidy(() => {
            const found = nearestCodes(tf.tensor2d(x, [n, d]), tf.tensor2d(codes, [k, d]), count, { metric })
            const [indices, distances] = [found.indices.dataSync(), found.distances.dataSync()]
            for (let i = 0; i < n; i++) {
              const to = (j: number): number => distance(row(x, i, d), row(codes, j, d), metric)
              const all = Array.from({ length: k }, (_, j) => to(j)).sort((a, b) => a - b)
              const own = Array.from(indices.subarray(i * count, (i + 1) * count))
              expect(new Set(own).size).toBe(count)
              // Nearly equal codes may swap in float32, so the found ones are judged by their distances.
              expectClose(own.map(to), all.slice(0, count), 2e-5)
              expectClose(distances.subarray(i * count, (i + 1) * count), all.slice(0, count), 2e-5)
            }
          })
        },
      ),
      { numRuns: 25 },
    )
  })

  it('gives the nearest first also over more than one block', () => {
    const [k, d] = [2600, 900]
    tf.tidy(() => {
      const codebook = tf.tensor2d(numbers(k * d, 9), [k, d])
      const x = tf.gather(codebook, tf.tensor1d([3, 1500, 2599], 'int32'))
      const { indices, distances } = nearestCodes(x, codebook, 3)
      const found = indices.dataSync()
      expect([found[0], found[3], found[6]]).toEqual([3, 1500, 2599])
      const values = distances.dataSync()
      for (let i = 0; i < 3; i++) {
        expect(values[i * 3]).toBe(0)
        expect(values[i * 3 + 1]).toBeLessThanOrEqual(values[i * 3 + 2]!)
      }
    })
  })

  it('says where there is no code, or no vector', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([0, 0, NaN, 1], [2, 2])
      const { indices, distances } = nearestCodes(x, tf.tensor2d([NaN, 0, 3, 4, 1, 0], [3, 2]), 3)
      expect(Array.from(indices.dataSync())).toEqual([2, 1, -1, -1, -1, -1])
      expect(Array.from(distances.dataSync())).toEqual([1, 25, Infinity, NaN, NaN, NaN])
      const none = nearestCodes(tf.zeros([0, 2]), tf.zeros([3, 2]), 2)
      expect([none.indices.shape, none.distances.shape]).toEqual([
        [0, 2],
        [0, 2],
      ])
    })
  })

  it('leaks nothing', () => {
    const x = tf.tensor2d(numbers(20 * 8), [20, 8])
    const codes = tf.tensor2d(numbers(30 * 8, 2), [30, 8])
    expectNoLeaks(() => Object.values(nearestCodes(x, codes, 4)), 300)
    tf.dispose([x, codes])
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      expect(() => nearestCodes(tf.zeros([2, 3]), tf.zeros([4, 3]), 5)).toThrow(/count: .*4.*5/)
      expect(() => nearestCodes(tf.zeros([2, 3]), tf.zeros([4, 3]), 0)).toThrow(/count: .*0/)
      expect(() => nearestCodes(tf.zeros([2, 3]), tf.zeros([4, 5]), 1)).toThrow(/x: expected shape/)
    })
  })
})
