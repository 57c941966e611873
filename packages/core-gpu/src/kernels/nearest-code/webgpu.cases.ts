import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import { nearestCode, type NearestCodeOptions } from './nearest-code.ts'

const dataOf = (x: tf.Tensor): Promise<Float32Array> => x.data<'float32'>()

/** Runs nearestCode on plain arrays. */
async function find(
  x: ArrayLike<number>,
  codes: ArrayLike<number>,
  d: number,
  options: NearestCodeOptions = {},
): Promise<{ indices: number[]; distances: number[] }> {
  const inputs = [tf.tensor2d(Float32Array.from(x), [x.length / d, d]), tf.tensor2d(Float32Array.from(codes), [codes.length / d, d])] as const // prettier-ignore
  const found = nearestCode(...inputs, options)
  const [indices, distances] = [await dataOf(found.indices), await dataOf(found.distances)]
  tf.dispose([...inputs, found.indices, found.distances])
  return { indices: Array.from(indices), distances: Array.from(distances) }
}

/** Brute force in float64. */
function nearest(x: ArrayLike<number>, codes: ArrayLike<number>, d: number): { index: number; distance: number }[] {
  return Array.from({ length: x.length / d }, (_, i) => {
    let nearest = { index: 0, distance: distance(x, i, codes, 0, d) }
    for (let j = 1; j < codes.length / d; j++) {
      const other = distance(x, i, codes, j, d)
      if (other < nearest.distance) nearest = { index: j, distance: other }
    }
    return nearest
  })
}

function distance(x: ArrayLike<number>, i: number, codes: ArrayLike<number>, j: number, d: number): number {
  let sum = 0
  for (let p = 0; p < d; p++) sum += (x[i * d + p]! - codes[j * d + p]!) ** 2
  return sum
}

/** Cases of XNearestCode, on the current backend. */
export function nearestCodeCases(): void {
  it('finds the nearest code across the borders of tiles', async () => {
    const sizes = (...borders: number[]): fc.Arbitrary<number> =>
      fc.oneof(fc.integer({ min: 1, max: 150 }), ...borders.map((size) => fc.constant(size)))
    await fc.assert(
      fc.asyncProperty(
        sizes(63, 64, 65, 129),
        sizes(64, 65, 128, 1000),
        sizes(15, 16, 17, 33).map((d) => Math.min(d, 40)),
        fc.nat(1000),
        async (n, k, d, seed) => {
          const [x, codes] = [numbers(n * d, seed), numbers(k * d, seed + 1)]
          const expected = nearest(x, codes, d)
          const { indices, distances } = await find(x, codes, d)
          // Nearly equal codes may swap in float32, so the found code is judged by its distance.
          const found = indices.map((j, i) => distance(x, i, codes, j, d))
          expectClose(found, Array.from(expected, (e) => e.distance)) // prettier-ignore
          expectClose(distances, found, 1e-6)
        },
      ),
      { numRuns: 15 },
    )
  })

  it('gives the first of equally near codes, in whichever tile or part', async () => {
    // Small whole numbers: every distance is exact in float32.
    const whole = (count: number, seed: number): Float32Array => numbers(count, seed).map((v) => Math.round(v * 2))
    for (const [n, k] of [
      [37, 21],
      [70, 300],
      [5, 900],
    ] as const) {
      const [x, codes] = [whole(n * 3, n), whole(k * 3, k)]
      const expected = nearest(x, codes, 3)
      expect(await find(x, codes, 3)).toEqual({
        indices: expected.map(({ index }) => index),
        distances: expected.map(({ distance }) => distance),
      })
    }
  })

  it('finds a code in each place of each tile', async () => {
    const k = 200
    const codes = Float32Array.from({ length: k * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : 1))
    const x = codes.toReversed() // [1, index] pairs
    const swapped = x.map((_, i) => x[i ^ 1]!)
    const { indices } = await find(swapped, codes, 2)
    expect(indices).toEqual(Array.from({ length: k }, (_, i) => k - 1 - i))
  })

  it('compares by cosine, with a distance of 1 from and to zero', async () => {
    const [n, k, d] = [70, 90, 7]
    const [x, codes] = [numbers(n * d, 5).fill(0, 0, d), numbers(k * d, 6).fill(0, d, 2 * d)]
    const cosine = (i: number, j: number): number => {
      const [a, b] = [x.subarray(i * d, i * d + d), codes.subarray(j * d, j * d + d)]
      const dot = a.reduce((sum, value, p) => sum + value * b[p]!, 0)
      return 1 - dot / (Math.hypot(...a) || 1) / (Math.hypot(...b) || 1)
    }
    const { indices, distances } = await find(x, codes, d, { metric: 'cosine' })
    const nearest = Array.from({ length: n }, (_, i) => Math.min(...Array.from({ length: k }, (_, j) => cosine(i, j))))
    expectClose(
      indices.map((j, i) => cosine(i, j)),
      nearest,
    )
    expectClose(distances, nearest, 2e-6)
    expect([indices[0], distances[0]]).toEqual([0, 1])
  })

  it('marks vectors with a NaN, and only those', async () => {
    const { indices, distances } = await find([0, 0, NaN, 1, 5, NaN, 5, 5], [5, 5, 0, 0], 2)
    expect(indices).toEqual([1, -1, -1, 0])
    expectClose(distances, [0, NaN, NaN, 0])
  })

  it('never leaves the codebook, whatever is infinite or NaN', async () => {
    const x = [Infinity, 0, -Infinity, Infinity, 3e38, 3e38, 1, 1]
    for (const codes of [
      [1, 2, 3, 4, 5, 6],
      [NaN, 0, 1, 1, Infinity, 0],
      [NaN, NaN, NaN, NaN, NaN, NaN],
    ]) {
      const { indices } = await find(x, codes, 2)
      expect(indices.every((index) => index >= 0 && index < 3)).toBe(true)
    }
    expect((await find(x, [NaN, 0, 1, 1, Infinity, 0], 2)).indices[3]).toBe(1)
  })

  it('leaks nothing', () => {
    const inputs = [tf.tensor2d(numbers(80), [10, 8]), tf.tensor2d(numbers(160, 2), [20, 8])] as const
    expectNoLeaks(() => Object.values(nearestCode(...inputs)), 50)
    tf.dispose([...inputs])
  })
}
