import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { energyDistance } from './energy-distance.ts'
import { type GaussianMoments, gaussianWasserstein, momentsOf } from './gaussian-wasserstein.ts'
import { maximumMeanDiscrepancy } from './maximum-mean-discrepancy.ts'
import { slicedWasserstein } from './sliced-wasserstein.ts'

type Points = number[][]

/** The mean of f over all pairs, in double precision. */
function pairMean(a: Points, b: Points, f: (distance: number) => number, unbiased = false): number {
  let sum = 0
  a.forEach((p, i) =>
    b.forEach((q, j) => {
      if (!(unbiased && a === b && i === j)) sum += f(Math.hypot(...p.map((value, k) => value - q[k]!)))
    }),
  )
  return sum / (a.length * (unbiased && a === b ? b.length - 1 : b.length))
}

function discrepancy(a: Points, b: Points, f: (distance: number) => number, unbiased: boolean): number {
  return pairMean(a, a, f, unbiased) + pairMean(b, b, f, unbiased) - 2 * pairMean(a, b, f)
}

const points = (n: number): fc.Arbitrary<Points> =>
  fc.array(fc.array(fc.double({ min: -2, max: 2, noNaN: true }).map(Math.fround), { minLength: 3, maxLength: 3 }), {
    minLength: 2,
    maxLength: n,
  })

describe.each(['cpu', 'wasm'] as const)('distances between samples on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('are what sums over pairs in double precision say', async () => {
    await fc.assert(
      fc.asyncProperty(points(7), points(5), fc.boolean(), async (a, b, unbiased) => {
        const [x, y] = [tf.tensor2d(a), tf.tensor2d(b)]
        const bandwidth = [0.5, 2]
        const kernel = (r: number): number =>
          bandwidth.reduce((sum, h) => sum + Math.exp((-r * r) / (2 * h * h)), 0) / bandwidth.length
        const mmd = await maximumMeanDiscrepancy(x, y, { bandwidth, unbiased })
        expect(Math.abs(mmd - discrepancy(a, b, kernel, unbiased))).toBeLessThan(3e-6)
        const energy = await energyDistance(x, y, { unbiased })
        expect(Math.abs(energy + discrepancy(a, b, (r) => r, unbiased))).toBeLessThan(1e-5)
        tf.dispose([x, y])
      }),
      { numRuns: 25 },
    )
  })

  it('are sums over tiles where pairs are many', async () => {
    // 800 x 700 pairs of 3 numbers: several tiles, the last ones cut.
    const [x, y] = [key(1).normal([800, 3]), key(2).normal([700, 3])]
    const [a, b] = (await Promise.all([x.array(), y.array()])) as [Points, Points]
    const between = await energyDistance(x, y)
    expect(Math.abs(between + discrepancy(a, b, (r) => r, false))).toBeLessThan(1e-5)
    tf.dispose([x, y])
  })

  it('approach their closed forms between Gaussians', async () => {
    const [d, n, shift, s, t, h] = [2, 700, 1.2, 1, 0.6, 1.5]
    const [x, y] = [key(3).normal([n, d]), key(4).normal([n, d], { mean: shift, standardDeviation: t })]
    // E k between Gaussians: (h^2 / v)^(d / 2) exp(-|m|^2 / 2 v) with v = h^2 and both variances.
    const kernel = (variance: number, squares: number): number => {
      const v = h * h + variance
      return ((h * h) / v) ** (d / 2) * Math.exp(-squares / (2 * v))
    }
    const wanted = kernel(2 * s * s, 0) + kernel(2 * t * t, 0) - 2 * kernel(s * s + t * t, d * shift * shift)
    expect(Math.abs((await maximumMeanDiscrepancy(x, y, { bandwidth: h, unbiased: true })) - wanted)).toBeLessThan(0.05)
    const w2 = Math.sqrt(d * shift * shift + d * (s - t) ** 2)
    expect(Math.abs(gaussianWasserstein(await momentsOf(x), await momentsOf(y)) - w2)).toBeLessThan(0.15)
    // In every direction u a Gaussian: W2^2 = (m u)^2 + (s - t)^2, whose mean over directions is |m|^2 / d + (s - t)^2.
    const sliced = await slicedWasserstein(x, y, { key: key(5), projections: 400 })
    expect(Math.abs(sliced - Math.sqrt(shift * shift + (s - t) ** 2))).toBeLessThan(0.15)
    tf.dispose([x, y])
  })

  it('slices are exact in one dimension, for sets of different sizes too', async () => {
    const [a, b] = [tf.tensor2d([[3], [0], [1]]), tf.tensor2d([[5], [2], [4], [2], [0], [1]])]
    // Quantiles in sixths: 0 0 1 1 3 3 and 0 1 2 2 4 5.
    const of = (order: number): Promise<number> => slicedWasserstein(a, b, { key: key(6), projections: 3, order })
    expect(await of(1)).toBeCloseTo((0 + 1 + 1 + 1 + 1 + 2) / 6, 6)
    expect(await of(2)).toBeCloseTo(Math.sqrt((0 + 1 + 1 + 1 + 1 + 4) / 6), 6)
    tf.dispose([a, b])
  })

  it('slices of a shift are the shift along each direction', async () => {
    const x = key(7).normal([50, 4])
    const [near, far] = [0.5, 1].map((step) => tf.add(x, tf.tensor1d([step, -step, 0, 2 * step])))
    const of = (y: tf.Tensor): Promise<number> => slicedWasserstein(x, y, { key: key(8), projections: 64, order: 1 })
    const [once, twice] = [await of(near!), await of(far!)]
    expect(twice / once).toBeCloseTo(2, 4)
    expect(await of(x)).toBe(0)
    // By the length of a random direction's component in 4 dimensions, E|u| = 4 / (3 pi).
    expect(Math.abs(once - Math.sqrt(1.5) * (4 / (3 * Math.PI)))).toBeLessThan(0.15)
    tf.dispose([x, near!, far!])
  })

  it('are the same again, and take images', async () => {
    const [x, y] = [key(9).normal([20, 2, 3, 1]), key(10).normal([30, 2, 3, 1])]
    const rows = [x, y].map((images) => tf.reshape(images, [-1, 6])) as [tf.Tensor, tf.Tensor]
    const options = { key: key(11) }
    expect(await slicedWasserstein(x, y, options)).toBe(await slicedWasserstein(...rows, options))
    expect(await energyDistance(x, y)).toBe(await energyDistance(...rows))
    tf.dispose([x, y, ...rows])
  })

  it('between Gaussians have closed forms', () => {
    const of = (mean: number[], covariance: number[]): GaussianMoments => ({ mean, covariance })
    const plain = of([0, 0], [1, 0, 0, 4])
    expect(gaussianWasserstein(plain, plain)).toBeLessThan(1e-7)
    // Along common axes deviations are compared: (1 - 2)^2 + (2 - 3)^2 + 3^2 + 4^2.
    expect(gaussianWasserstein(plain, of([3, 4], [4, 0, 0, 9]))).toBeCloseTo(Math.sqrt(27), 10)
    // In two dimensions tr (A B)^1/2 = sqrt(tr A B + 2 sqrt(det A B)).
    const [a, b] = [of([0, 0], [2, 0.5, 0.5, 1]), of([0, 0], [1, -0.3, -0.3, 0.5])]
    const [trace, det] = [2 * 1 + 2 * 0.5 * -0.3 + 1 * 0.5, (2 - 0.25) * (0.5 - 0.09)]
    const wanted = Math.sqrt(3 + 1.5 - 2 * Math.sqrt(trace + 2 * Math.sqrt(det)))
    expect(gaussianWasserstein(a, b)).toBeCloseTo(wanted, 10)
    expect(gaussianWasserstein(b, a)).toBeCloseTo(wanted, 10)
    // Without spread at all, points.
    expect(gaussianWasserstein(of([0, 0], [0, 0, 0, 0]), of([3, 4], [0, 0, 0, 0]))).toBeCloseTo(5, 12)
  })

  it('counts moments', async () => {
    const x = tf.tensor2d([[0, 1], [2, 5], [4, 3]]) // prettier-ignore
    const { mean, covariance } = await momentsOf(x)
    expect(Array.from(mean)).toEqual([2, 3])
    expect(Array.from(covariance)).toEqual([4, 2, 2, 4])
    x.dispose()
  })

  it('leave nothing behind', async () => {
    const [x, y] = [key(12).normal([5, 2]), key(13).normal([4, 2])]
    expect(await countLeaks(() => energyDistance(x, y))).toBe(0)
    expect(await countLeaks(() => maximumMeanDiscrepancy(x, y, { bandwidth: 1 }))).toBe(0)
    expect(await countLeaks(() => slicedWasserstein(x, y, { key: key(1) }))).toBe(0)
    expect(await countLeaks(() => momentsOf(x))).toBe(0)
    tf.dispose([x, y])
  })

  it('refuse bad input by name', async () => {
    const [x, y, wide, one, empty, bad] = [
      tf.zeros([3, 2]),
      tf.zeros([2, 2]),
      tf.zeros([3, 3]),
      tf.zeros([1, 2]),
      tf.zeros([0, 2]),
      tf.tensor2d([[NaN, 0]]),
    ] as const
    await expect(energyDistance(x, wide)).rejects.toThrow(/^b: expected samples of shape \[2\]/)
    await expect(energyDistance(empty, y)).rejects.toThrow(/^a: expected at least 1/)
    await expect(energyDistance(x, one, { unbiased: true })).rejects.toThrow(/^b: expected at least 2/)
    await expect(energyDistance(bad, y)).rejects.toThrow(/^a: expected finite/)
    await expect(energyDistance(x, [] as never)).rejects.toThrow(/^b: expected a tensor/)
    await expect(maximumMeanDiscrepancy(x, y, { bandwidth: 0 })).rejects.toThrow(/^bandwidth/)
    await expect(maximumMeanDiscrepancy(x, y, { bandwidth: [] })).rejects.toThrow(/^bandwidth/)
    await expect(slicedWasserstein(x, y, { key: key(0), projections: 0 })).rejects.toThrow(/^projections/)
    await expect(slicedWasserstein(x, y, { key: key(0), order: 0.5 })).rejects.toThrow(/^order/)
    await expect(momentsOf(one)).rejects.toThrow(/^x/)
    const fine = { mean: [0], covariance: [1] }
    expect(() => gaussianWasserstein(fine, { mean: [0], covariance: [1, 0] })).toThrow(/^b/)
    expect(() => gaussianWasserstein(fine, { mean: [0], covariance: [-1] })).toThrow(/^b.covariance/)
    tf.dispose([x, y, wide, one, empty, bad])
  })
})
