import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { nearestCode } from './nearest-code.ts'

function distance(x: ArrayLike<number>, i: number, codes: ArrayLike<number>, j: number, d: number): number {
  let sum = 0
  for (let p = 0; p < d; p++) sum += (x[i * d + p]! - codes[j * d + p]!) ** 2
  return sum
}

/** Brute force in float64. */
function nearest(
  x: ArrayLike<number>,
  codes: ArrayLike<number>,
  d: number,
): { indices: number[]; distances: number[] } {
  const indices: number[] = []
  const distances: number[] = []
  for (let i = 0; i < x.length / d; i++) {
    let best = 0
    for (let j = 1; j < codes.length / d; j++)
      if (distance(x, i, codes, j, d) < distance(x, i, codes, best, d)) best = j
    indices.push(best)
    distances.push(distance(x, i, codes, best, d))
  }
  return { indices, distances }
}

describe.each(deviceCases)('nearestCode on $title', (device) => {
  beforeAll(() => useCase(device))

  it('finds the nearest code of random vectors', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(1000),
        (n, k, d, seed) => {
          const [x, codes] = [numbers(n * d, seed), numbers(k * d, seed + 1)]
          tf.tidy(() => {
            const { indices, distances } = nearestCode(tf.tensor2d(x, [n, d]), tf.tensor2d(codes, [k, d]))
            const expected = nearest(x, codes, d)
            // Nearly equal codes may swap in float32, so the found code is judged by its distance.
            const found = Array.from(indices.dataSync(), (j, i) => distance(x, i, codes, j, d))
            expectClose(found, expected.distances, 1e-5)
            expectClose(distances.dataSync(), found, 1e-6)
          })
        },
      ),
      { numRuns: 40 },
    )
  })

  it('finds the code of the largest cosine', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(1000),
        (n, k, d, seed) => {
          const [x, codes] = [numbers(n * d, seed), numbers(k * d, seed + 1)]
          const unit = (rows: Float32Array): number[] =>
            Array.from(rows, (value, i) => {
              const row = rows.subarray(Math.floor(i / d) * d, Math.floor(i / d) * d + d)
              return value / Math.hypot(...row)
            })
          tf.tidy(() => {
            const vectors = tf.mul(tf.tensor2d(x, [n, d]), 7) as tf.Tensor2D
            const { indices, distances } = nearestCode(vectors, tf.tensor2d(codes, [k, d]), { metric: 'cosine' })
            // On the unit sphere the squared distance is twice 1 - cosine.
            const [rows, units] = [unit(x), unit(codes)]
            const found = Array.from(indices.dataSync(), (j, i) => distance(rows, i, units, j, d) / 2)
            const expected = nearest(rows, units, d).distances.map((squared) => squared / 2)
            expectClose(found, expected, 1e-5)
            expectClose(distances.dataSync(), found, 1e-5)
          })
        },
      ),
      { numRuns: 40 },
    )
  })

  it('has distance 1 to and from zero vectors by cosine', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([0, 0, 3, 0, NaN, 1, -2, 0], [4, 2])
      const { indices, distances } = nearestCode(x, tf.tensor2d([0, 0, 0, 5, 0.5, 0], [3, 2]), { metric: 'cosine' })
      expect(Array.from(indices.dataSync())).toEqual([0, 2, -1, 0])
      expectClose(distances.dataSync(), [1, 0, NaN, 1])
    })
  })

  it('gives the first of equally near codes', () => {
    // Small whole numbers: every distance is exact in float32.
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 50 }), fc.nat(1000), (n, k, seed) => {
        const whole = (count: number, s: number): Float32Array => numbers(count, s).map((x) => Math.round(x * 2))
        const [x, codes] = [whole(n * 3, seed), whole(k * 3, seed + 1)]
        tf.tidy(() => {
          const { indices, distances } = nearestCode(tf.tensor2d(x, [n, 3]), tf.tensor2d(codes, [k, 3]))
          const expected = nearest(x, codes, 3)
          expect(Array.from(indices.dataSync())).toEqual(expected.indices)
          expect(Array.from(distances.dataSync())).toEqual(expected.distances)
        })
      }),
      { numRuns: 40 },
    )
  })

  it('searches codebooks and batches of more than one block', () => {
    const [n, k, d] = [100, 2500, 4]
    const [x, codes] = [numbers(n * d, 3), numbers(k * d, 4)]
    tf.tidy(() => {
      const { distances } = nearestCode(tf.tensor2d(x, [n, d]), tf.tensor2d(codes, [k, d]))
      expectClose(distances.dataSync(), nearest(x, codes, d).distances, 1e-5)
    })
  })

  it('splits a codebook larger than its working memory', () => {
    const [k, d] = [1500, 1024]
    tf.tidy(() => {
      const codebook = tf.tensor2d(numbers(k * d, 9), [k, d])
      const x = tf.gather(codebook, tf.tensor1d([0, 1020, 1499, 700], 'int32'))
      const { indices, distances } = nearestCode(x, codebook)
      expect(Array.from(indices.dataSync())).toEqual([0, 1020, 1499, 700])
      expect(Array.from(distances.dataSync())).toEqual([0, 0, 0, 0])
    })
  })

  it('marks vectors with a NaN, and only those', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([0, 0, NaN, 1, 5, NaN, 5, 5], [4, 2])
      const { indices, distances } = nearestCode(x, tf.tensor2d([5, 5, 0, 0], [2, 2]))
      expect(Array.from(indices.dataSync())).toEqual([1, -1, -1, 0])
      expectClose(distances.dataSync(), [0, NaN, NaN, 0])
    })
  })

  it('never leaves the codebook, whatever is infinite or NaN', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([Infinity, 0, -Infinity, Infinity, 3e38, 3e38, 1, 1], [4, 2])
      for (const codes of [
        [1, 2, 3, 4, 5, 6],
        [NaN, 0, 1, 1, Infinity, 0],
        [NaN, NaN, NaN, NaN, NaN, NaN],
      ]) {
        const found = Array.from(nearestCode(x, tf.tensor2d(codes, [3, 2])).indices.dataSync())
        expect(found.every((index) => index >= 0 && index < 3)).toBe(true)
      }
      const skipping = nearestCode(x, tf.tensor2d([NaN, 0, 1, 1, Infinity, 0], [3, 2]))
      expect(skipping.indices.dataSync()[3]).toBe(1)
    })
  })

  it('takes no vectors at all', () => {
    const { indices, distances } = nearestCode(tf.zeros([0, 4]), tf.zeros([3, 4]))
    expect([indices.shape, distances.shape, indices.dtype]).toEqual([[0], [0], 'int32'])
    tf.dispose([indices, distances])
  })

  it('lets no gradient through', () => {
    tf.tidy(() => {
      const codes = tf.tensor2d([0, 0, 1, 1], [2, 2])
      const f = (x: tf.Tensor): tf.Scalar => {
        const { distances } = nearestCode(x as tf.Tensor2D, codes)
        return tf.add(tf.sum(distances), tf.sum(tf.mul(x, 3)))
      }
      expectClose(
        tf
          .grad(f)(tf.tensor2d([0.2, 0.1], [1, 2]))
          .dataSync(),
        [3, 3],
      )
    })
  })

  it('leaks nothing', () => {
    const x = tf.tensor2d(numbers(20 * 8), [20, 8])
    const codes = tf.tensor2d(numbers(30 * 8, 2), [30, 8])
    expectNoLeaks(() => Object.values(nearestCode(x, codes)))
    tf.dispose([x, codes])
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      expect(() => nearestCode(tf.zeros([2, 3]), tf.zeros([4, 5]))).toThrow(
        /x: expected shape \[\.\.\., 5\], got \[2, 3\]/,
      )
      expect(() => nearestCode(tf.zeros([6]) as unknown as tf.Tensor2D, tf.zeros([4, 5]))).toThrow(RangeError)
      expect(() => nearestCode(tf.zeros([2, 3]), tf.zeros([0, 3]))).toThrow(/codebook/)
      expect(() => nearestCode(tf.zeros([2, 3]), tf.zeros([4, 3]), { metric: 'l1' as 'cosine' })).toThrow(/metric.*l1/)
    })
  })
})
