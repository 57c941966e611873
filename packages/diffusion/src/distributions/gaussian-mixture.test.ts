import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, countLeaks, expectGolden } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkDenoiser, checkFlow, recordedMixture } from '../golden/distributions.ts'
import { goldenRecords } from '../golden/golden.ts'
import { componentsOf, mixture, mixtureDenoiser } from '../golden/mixture.ts'
import { alphaOf, sigmaOf } from '../noise-level.ts'
import { type GaussianMixture, gaussianMixture, type GaussianMixtureOptions } from './gaussian-mixture.ts'

/** Two of them in the plane, each with a matrix of its own. */
const tilted = {
  means: [
    [1, -0.5],
    [-1.2, 0.4],
  ],
  covariances: [
    [
      [0.5, 0.3],
      [0.3, 0.4],
    ],
    [
      [0.2, -0.1],
      [-0.1, 0.6],
    ],
  ],
  weights: [1, 3],
} as const

/** ln p(x), E[x0 | x] and p(k | x) of a mixture in the plane, in double precision and by matrices written out. */
function reference(
  { means, covariances, weights }: typeof tilted,
  x: readonly number[],
  logSnr: number,
): { logDensity: number; mean: number[]; shares: number[] } {
  const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
  const total = weights.reduce<number>((a, b) => a + b, 0)
  const parts = means.map((mu, k) => {
    const [[a, b], [, c]] = covariances[k]!
    const [p, q, r] = [alpha ** 2 * a + sigma ** 2, alpha ** 2 * b, alpha ** 2 * c + sigma ** 2]
    const det = p * r - q * q
    const [u, v] = [x[0]! - alpha * mu[0], x[1]! - alpha * mu[1]]
    const [s, t] = [(r * u - q * v) / det, (p * v - q * u) / det]
    return {
      log: Math.log(weights[k]! / total) - 0.5 * (u * s + v * t + Math.log(det)) - Math.log(2 * Math.PI),
      mean: [mu[0] + alpha * (a * s + b * t), mu[1] + alpha * (b * s + c * t)],
    }
  })
  const density = parts.reduce((sum, { log }) => sum + Math.exp(log), 0)
  const shares = parts.map(({ log }) => Math.exp(log) / density)
  return {
    logDensity: Math.log(density),
    mean: [0, 1].map((i) => parts.reduce((sum, part, k) => sum + shares[k]! * part.mean[i]!, 0)),
    shares,
  }
}

describe.each(['cpu', 'wasm'] as const)('a Gaussian mixture on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenRecords('gmm/definition'))('denoises as recorded: $id', checkDenoiser)
  it.each(goldenRecords('gmm/exact'))('has the recorded flow: $id', checkFlow)

  it('has the density, mean and shares of matrices written out', async () => {
    const exact = gaussianMixture(tilted)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: -3, max: 3, noNaN: true })), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.double({ min: -8, max: 6, noNaN: true }),
        async (points, logSnr) => {
          const x = tf.tensor2d(points)
          const rows = (await x.array()).map((point) => reference(tilted, point, logSnr))
          const got = [
            exact.denoise(x, logSnr),
            exact.logDensity(x, logSnr),
            exact.responsibilities(x, logSnr),
          ] as const
          const n = points.length
          const tolerance = { abs: 3e-5, rel: 2e-5 }
          await expectGolden('mean', got[0], { shape: [n, 2], values: rows.flatMap(({ mean }) => mean) }, tolerance)
          await expectGolden('log density', got[1], { shape: [n], values: rows.map((r) => r.logDensity) }, tolerance)
          const shares = { shape: [n, 2], values: rows.flatMap((r) => r.shares) }
          await expectGolden('shares', got[2], shares, { abs: 2e-4, rel: 0 })
          tf.dispose([x, ...got])
        },
      ),
      { numRuns: 25 },
    )
    exact.dispose()
  })

  it('is the same with its covariances written in each way', async () => {
    const means = [
      [0, 1, 2],
      [1, -1, 0.5],
    ]
    const diagonal = (v: number): number[][] => [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? v : 0)))
    const ways: GaussianMixtureOptions['covariances'][] = [
      0.3,
      [0.3, 0.3],
      means.map(() => [0.3, 0.3, 0.3]),
      means.map(() => diagonal(0.3)),
    ]
    const x = key(1).normal([5, 3])
    const [first, ...others] = await Promise.all(
      ways.map(async (covariances) => {
        const exact = gaussianMixture({ means, covariances })
        const got = tf.tidy(() => [exact.denoise(x, 0.7), tf.expandDims(exact.logDensity(x, 0.7), 1)])
        exact.dispose()
        const values = await Promise.all(got.map((tensor) => tensor.data()))
        tf.dispose(got)
        return values.flatMap((data) => Array.from(data))
      }),
    )
    for (const other of others) other.forEach((value, i) => expect(value).toBeCloseTo(first![i]!, 4))
    x.dispose()
  })

  it('has finite differences as gradients, also of its labelled parts', async () => {
    const exact = recordedMixture()
    const full = gaussianMixture(tilted)
    const x = key(2).normal([4, 2])
    const labels = tf.tensor1d([0, 1, 0, 1], 'int32')
    await checkGradients(({ x }) => full.denoise(x, 0.5), { x })
    await checkGradients(({ x }) => full.logDensity(x, 0.5), { x })
    await checkGradients(({ x }) => exact.denoise(x, -1, labels), { x })
    await checkGradients(({ x }) => exact.logDensity(x, -1, labels), { x })
    tf.dispose([x, labels])
    exact.dispose()
    full.dispose()
  })

  it('has a score that its mean is made of', async () => {
    const exact = gaussianMixture(tilted)
    const [x, level] = [key(3).normal([6, 2]), 0.3]
    const score = tf.grad((at) => tf.sum(exact.logDensity(at, level)))(x)
    const byMean = tf.tidy(() =>
      tf.div(tf.sub(tf.mul(alphaOf(level), exact.denoise(x, level)), x), sigmaOf(level) ** 2),
    )
    await expectGolden(
      'score',
      score,
      { shape: [6, 2], values: Array.from(await byMean.data()) },
      { abs: 1e-5, rel: 1e-4 },
    )
    tf.dispose([x, score, byMean])
    exact.dispose()
  })

  it('takes many components in chunks: the same values and gradients, and no table of all pairs', async () => {
    const [k, n, chunk] = [2000, 60, 50]
    const centres = key(4).normal([k, 2])
    const means = (await centres.array()) as number[][]
    const many = { means, variances: means.map((_, i) => 0.05 + 0.01 * (i % 7)), weights: means.map(() => 1) }
    const exact = gaussianMixture({ means, covariances: many.variances, chunk })
    const x = key(5).normal([n, 2])
    const few = tf.slice(x, 0, 16)
    const [got, wanted] = [exact.denoise(few, 1.5), mixtureDenoiser(many)(few, 1.5)]
    const all = exact.denoise(x, 1.5)
    const beginning = tf.slice(all, 0, 16)
    const values = { shape: [16, 2], values: Array.from(await wanted.data()) }
    await expectGolden('few at once', got, values, { abs: 1e-5, rel: 1e-5 })
    await expectGolden('many at once', beginning, values, { abs: 1e-5, rel: 1e-5 })
    const dy = key(6).normal([n, 2])
    const pulled = tf.grad((at) => exact.denoise(at, 1.5))(x, dy)
    const pulledFew = tf.tidy(() => tf.grad((at) => mixtureDenoiser(many)(at, 1.5))(few, tf.slice(dy, 0, 16)))
    const pulledBeginning = tf.slice(pulled, 0, 16)
    const gradients = { shape: [16, 2], values: Array.from(await pulledFew.data()) }
    await expectGolden('gradient', pulledBeginning, gradients, { abs: 2e-4, rel: 1e-3 })
    const before = tf.memory().numBytes
    const profile = await tf.profile(() => tf.tidy(() => tf.grad((at) => exact.denoise(at, 1.5))(x, dy)).dispose())
    // A number for each pair would be as much as this; without chunks there would be some ten.
    expect(profile.peakBytes - before).toBeLessThan(4 * n * k)
    tf.dispose([centres, x, few, got, wanted, all, beginning, dy, pulled, pulledFew, pulledBeginning])
    exact.dispose()
  })

  it('knows the mean alone in pure noise, and everything without any', async () => {
    const exact = gaussianMixture(tilted)
    const x = key(7).normal([3, 2])
    const [pure, clean] = [exact.denoise(x, -Infinity), exact.denoise(x, Infinity)]
    const mean = [0, 1].map((i) => (tilted.means[0]![i]! + 3 * tilted.means[1]![i]!) / 4)
    await expectGolden('pure', pure, { shape: [3, 2], row: { shape: [2], values: mean } }, { abs: 1e-6, rel: 0 })
    await expectGolden('clean', clean, { shape: [3, 2], values: Array.from(await x.data()) }, { abs: 1e-5, rel: 0 })
    tf.dispose([x, pure, clean])
    exact.dispose()
  })

  it('is its labelled part under a condition', async () => {
    const exact = recordedMixture()
    const x = key(8).normal([4, 2])
    const labels = tf.tensor1d([0, 0, 0, 0], 'int32')
    const [got, part] = [exact.denoise(x, 1, labels), mixtureDenoiser(componentsOf(mixture, [0, 2, 4]))(x, 1)]
    await expectGolden('part', got, { shape: [4, 2], values: Array.from(await part.data()) }, { abs: 1e-5, rel: 1e-5 })
    const shares = exact.responsibilities(x, 1, labels)
    for (const row of await shares.array()) expect(row[1]! + row[3]! + row[5]!).toBe(0)
    tf.dispose([x, labels, got, part, shares])
    exact.dispose()
  })

  it('draws what it describes, the same first samples however many, and of the labels asked for', async () => {
    const exact = gaussianMixture({ ...tilted, labels: [3, 5] })
    const n = 20_000
    const [many, few] = [exact.sample(n, key(9)), exact.sample(5, key(9))]
    const values = await many.array()
    expect((await few.array()).flat()).toEqual(values.slice(0, 5).flat())
    const mean = [0, 1].map((i) => values.reduce((sum, row) => sum + row[i]!, 0) / n)
    // The standard error is below 0.01.
    mean.forEach((got, i) =>
      expect(Math.abs(got - (tilted.means[0]![i]! + 3 * tilted.means[1]![i]!) / 4)).toBeLessThan(0.04),
    )
    const { x, labels } = exact.sampleLabelled(
      n,
      key(10),
      Array.from({ length: n }, () => 3),
    )
    expect(new Set(await labels.data())).toEqual(new Set([3]))
    const rows = await x.array()
    const [[a, b]] = tilted.covariances[0]!
    const covariance = (i: number, j: number): number =>
      rows.reduce((sum, row) => sum + (row[i]! - tilted.means[0]![i]!) * (row[j]! - tilted.means[0]![j]!), 0) / n
    expect(Math.abs(covariance(0, 0) - a)).toBeLessThan(0.03)
    expect(Math.abs(covariance(0, 1) - b)).toBeLessThan(0.03)
    const drawn = exact.sampleLabelled(n, key(11))
    const share = (await drawn.labels.data()).filter((label) => label === 5).length / n
    expect(Math.abs(share - 0.75)).toBeLessThan(0.02)
    tf.dispose([many, few, x, labels, drawn.x, drawn.labels])
    exact.dispose()
  })

  it('draws from its posterior', async () => {
    const exact = gaussianMixture(tilted)
    const [n, level] = [20_000, 0.4]
    const point = tf.tensor2d([[0.1, 0.2]])
    const x = tf.tile(point, [n, 1])
    const drawn = exact.samplePosterior(x, level, key(12))
    const values = await drawn.array()
    const [mean] = await (exact.denoise(point, level) as tf.Tensor2D).array()
    const got = [0, 1].map((i) => values.reduce((sum, row) => sum + row[i]!, 0) / n)
    got.forEach((value, i) => expect(Math.abs(value - mean![i]!)).toBeLessThan(0.04))
    // Cov[x0 | x] = sigma^2 / alpha times the denoiser's Jacobian.
    const towards = tf.tensor2d([[1, 0]])
    const [row] = await (tf.grad((at) => exact.denoise(at, level))(point, towards) as tf.Tensor2D).array()
    row!.forEach((slope, i) => {
      const covariance = values.reduce((sum, v) => sum + (v[0]! - got[0]!) * (v[i]! - got[i]!), 0) / n
      expect(Math.abs(covariance - (slope * sigmaOf(level) ** 2) / alphaOf(level))).toBeLessThan(0.03)
    })
    tf.dispose([point, x, drawn, towards])
    exact.dispose()
  })

  it('leaves nothing behind', async () => {
    const x = key(13).normal([4, 2])
    const labels = tf.tensor1d([0, 1, 0, 1], 'int32')
    expect(
      await countLeaks(() => {
        let exact!: GaussianMixture
        tf.tidy(() => void (exact = recordedMixture()))
        const { x: drawn, labels: given } = exact.sampleLabelled(3, key(1), [0, 1, 1])
        const made = [
          exact.denoise(x, 0, labels),
          exact.logDensity(x, 0),
          exact.responsibilities(x, 0, labels),
          exact.samplePosterior(x, 0, key(2)),
          exact.sample(2, key(3)),
          tf.grad((at) => exact.denoise(at, 0, labels))(x),
          tf.grad((at) => tf.sum(exact.logDensity(at, 0)))(x),
          drawn,
          given,
        ]
        exact.dispose()
        return made
      }),
    ).toBe(0)
    tf.dispose([x, labels])
  })

  it('refuses bad input by name', () => {
    const of = (options: Partial<GaussianMixtureOptions>): (() => unknown) => {
      return () => gaussianMixture({ means: [[0, 0], [1, 1]], covariances: 1, ...options }) // prettier-ignore
    }
    expect(of({ means: [] })).toThrow(/^means: expected at least one/)
    expect(of({ means: [[]] })).toThrow(/^means/)
    expect(of({ means: [[0, 0], [1]] })).toThrow(/^means\[1\]: expected 2 numbers, got 1/)
    expect(of({ means: [[0, NaN]] })).toThrow(/^means\[0\]\[1\]/)
    expect(of({ covariances: 0 })).toThrow(/^covariances: expected a number > 0/)
    expect(of({ covariances: [1] })).toThrow(/^covariances: expected 2 of them/)
    expect(of({ covariances: [1, -1] })).toThrow(/^covariances\[1\]/)
    expect(of({ covariances: [[1, 0], [1, 1]] })).toThrow(/^covariances\[0\]\[1\]/) // prettier-ignore
    expect(of({ covariances: [[1, 1], [1]] })).toThrow(/^covariances\[1\]/)
    expect(of({ covariances: [[[1, 2], [2, 1]], [[1, 0], [0, 1]]] })).toThrow(/^covariances\[0\]: .*definite/) // prettier-ignore
    expect(of({ covariances: [[[1, 0.5], [0, 1]], [[1, 0], [0, 1]]] })).toThrow(/^covariances\[0\]: .*symmetric/) // prettier-ignore
    expect(of({ weights: [1] })).toThrow(/^weights: expected 2 numbers/)
    expect(of({ weights: [1, 0] })).toThrow(/^weights\[1\]/)
    expect(of({ chunk: 0 })).toThrow(/^chunk/)
    expect(of({ labels: [0] })).toThrow(/^labels/)
    expect(of({ labels: [0, 0.5] })).toThrow(/^labels\[1\]/)
    const [plain, labelled] = [gaussianMixture({ means: [[0, 0]], covariances: 1 }), recordedMixture()]
    const [x, wide] = [tf.zeros([2, 2]), tf.zeros([2, 3])]
    const [labels, unknown, floats] = [
      tf.tensor1d([0, 1], 'int32'),
      tf.tensor1d([0, 7], 'int32'),
      tf.tensor1d([0, 1], 'float32'),
    ]
    expect(() => plain.denoise(wide, 0)).toThrow(/^x: expected shape \[\?, 2\], got \[2, 3\]/)
    expect(() => plain.denoise(x, NaN)).toThrow(/^logSnr/)
    expect(() => plain.denoise(x, 0, labels)).toThrow(/^condition: expected none/)
    expect(() => labelled.denoise(x, 0, unknown)).toThrow(/^condition: no component has the label 7/)
    expect(() => labelled.denoise(x, 0, floats)).toThrow(/^condition: expected int32/)
    expect(() =>
      labelled.denoise(
        x,
        0,
        tf.tidy(() => tf.zeros([3], 'int32')),
      ),
    ).toThrow()
    expect(() => plain.sample(0, key(0))).toThrow(/^n/)
    expect(() => plain.sampleLabelled(1, key(0))).toThrow(/^labels/)
    expect(() => labelled.sampleLabelled(1, key(0), [0, 1])).toThrow(/^labels: expected 1/)
    expect(() => labelled.sampleLabelled(1, key(0), [9])).toThrow(/^labels: no component has the label 9/)
    tf.dispose([x, wide, labels, unknown, floats])
    plain.dispose()
    labelled.dispose()
  })
})
