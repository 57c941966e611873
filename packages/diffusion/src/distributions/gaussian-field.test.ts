import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, countLeaks, expectGolden } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkField, recordedField } from '../golden/distributions.ts'
import { goldenRecords } from '../golden/golden.ts'
import { type GaussianField, gaussianField } from './gaussian-field.ts'
import { gaussianMixture } from './gaussian-mixture.ts'

/** The covariance matrix of a stationary field from its first row. */
function circulant(row: Float64Array, h: number, w: number): number[][] {
  const at = (i: number): [number, number] => [Math.floor(i / w), i % w]
  return Array.from({ length: h * w }, (_, i) =>
    Array.from({ length: h * w }, (_, j) => {
      const [[a, b], [c, d]] = [at(i), at(j)]
      return row[((c - a + h) % h) * w + ((d - b + w) % w)]!
    }),
  )
}

describe.each(['cpu', 'wasm'] as const)('a Gaussian field on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenRecords('ug/field'))('has the recorded covariances: $id', checkField)

  it('is the Gaussian with its covariance, whichever way it is given', async () => {
    const [h, w] = [4, 6]
    const field = gaussianField({ size: [h, w], spectrum: (v, u) => 1 / (1 + v * v + 2 * u), variance: 0.7, mean: 0.3 })
    const covariance = circulant(field.autocovariance(), h, w)
    const given = gaussianField({ size: [h, w], covariance: covariance.flat(), mean: 0.3 })
    const mixture = gaussianMixture({ means: [covariance.map(() => 0.3)], covariances: [covariance] })
    const images = key(1).normal([3, h, w, 1])
    const rows = tf.reshape(images, [3, h * w])
    for (const level of [-4, 0, 3]) {
      const mean = mixture.denoise(rows, level)
      const density = mixture.logDensity(rows, level)
      const wanted = { shape: [3, h, w, 1], values: Array.from(await mean.data()) }
      for (const one of [field, given]) {
        const [denoised, log] = [one.denoise(images, level), one.logDensity(images, level)]
        await expectGolden('mean', denoised, wanted, { abs: 1e-5, rel: 1e-5 })
        await expectGolden(
          'density',
          log,
          { shape: [3], values: Array.from(await density.data()) },
          { abs: 1e-4, rel: 1e-5 },
        )
        tf.dispose([denoised, log])
      }
      tf.dispose([mean, density])
    }
    const [pooled, pooledGiven] = [field.pooled(2), given.pooled(2)]
    pooled.autocovariance().forEach((v, i) => expect(v).toBeCloseTo(pooledGiven.autocovariance()[i]!, 10))
    tf.dispose([images, rows])
    for (const each of [field, given, mixture, pooled, pooledGiven]) each.dispose()
  })

  it('draws fields of its covariance, and pooled ones of the pooled field’s', async () => {
    const field = recordedField()
    const n = 4000
    const images = field.sample(n, key(2))
    const covarianceOf = async (x: tf.Tensor, a: number, b: number): Promise<number> => {
      const values = await x.data()
      const size = x.size / n
      let sum = 0
      for (let i = 0; i < n; i++) sum += values[i * size + a]! * values[i * size + b]!
      return sum / n
    }
    const small = tf.avgPool(images, 2, 2, 'valid')
    const low = field.pooled(2)
    for (const at of [0, 1, 9, 12]) {
      expect(Math.abs((await covarianceOf(images, 0, at)) - field.autocovariance()[at]!)).toBeLessThan(0.1)
      expect(Math.abs((await covarianceOf(small, 0, at)) - low.autocovariance()[at]!)).toBeLessThan(0.08)
    }
    tf.dispose([images, small])
    field.dispose()
    low.dispose()
  })

  it('treats channels each for itself', async () => {
    const spectrum = (v: number, u: number): number => 1 / (1 + v + u)
    const [one, two] = [1, 2].map((channels) => gaussianField({ size: [3, 4], spectrum, channels }))
    const x = key(3).normal([2, 3, 4, 2])
    const split = tf.split(x, 2, 3)
    const together = two!.denoise(x, 0.5)
    const apart = tf.tidy(() =>
      tf.concat(
        split.map((channel) => one!.denoise(channel, 0.5)),
        3,
      ),
    )
    await expectGolden(
      'x0',
      together,
      { shape: x.shape, values: Array.from(await apart.data()) },
      { abs: 1e-6, rel: 1e-5 },
    )
    const density = two!.logDensity(x, 0.5)
    const sum = tf.tidy(() => split.map((channel) => one!.logDensity(channel, 0.5)).reduce((a, b) => tf.add(a, b)))
    await expectGolden('ln p', density, { shape: [2], values: Array.from(await sum.data()) }, { abs: 1e-5, rel: 1e-5 })
    tf.dispose([x, split, together, apart, density, sum])
    one!.dispose()
    two!.dispose()
  })

  it('has finite differences as gradients, and leaves nothing behind', async () => {
    const field = gaussianField({ size: [3, 4], spectrum: (v, u) => 1 / (1 + v + u), channels: 2 })
    const x = key(4).normal([2, 3, 4, 2])
    await checkGradients(({ x }) => field.denoise(x, 0.5), { x })
    await checkGradients(({ x }) => field.logDensity(x, 0.5), { x })
    expect(
      await countLeaks(() => {
        let own!: GaussianField
        tf.tidy(() => void (own = gaussianField({ size: [2, 2], spectrum: () => 1 })))
        const pooled = own.pooled(2)
        pooled.dispose()
        own.dispose()
        return [field.denoise(x, 0), field.logDensity(x, 0), field.sample(2, key(1))]
      }),
    ).toBe(0)
    x.dispose()
    field.dispose()
  })

  it('keeps waves without variance at the mean, without noise too', async () => {
    const flat = gaussianField({ size: [4, 4], spectrum: (v, u) => (v + u === 0 ? 1 : 0), mean: 2 })
    const x = key(5).normal([1, 4, 4, 1])
    const clean = flat.denoise(x, Infinity)
    const mean = (await x.data<'float32'>()).reduce((a, b) => a + b, 0) / 16
    await expectGolden(
      'clean',
      clean,
      { shape: [1, 4, 4, 1], row: { shape: [1], values: [mean] } },
      { abs: 1e-5, rel: 0 },
    )
    expect(() => flat.logDensity(x, Infinity)).toThrow(/^logSnr/)
    tf.dispose([x, clean])
    flat.dispose()
  })

  it('refuses bad input by name', () => {
    const spectrum = (): number => 1
    expect(() => gaussianField({ size: [0, 2], spectrum })).toThrow(/^size\[0\]/)
    expect(() => gaussianField({ size: [2, 0.5], spectrum })).toThrow(/^size\[1\]/)
    expect(() => gaussianField({ size: [2, 2], spectrum, channels: 0 })).toThrow(/^channels/)
    expect(() => gaussianField({ size: [2, 2], spectrum, mean: NaN })).toThrow(/^mean/)
    expect(() => gaussianField({ size: [2, 2], spectrum, variance: 0 })).toThrow(/^variance/)
    expect(() => gaussianField({ size: [2, 2], spectrum: () => -1 })).toThrow(/^spectrum/)
    expect(() => gaussianField({ size: [2, 2], spectrum: () => 0, variance: 1 })).toThrow(/^spectrum/)
    expect(() => gaussianField({ size: [1, 2], covariance: [1, 0, 1] })).toThrow(/^covariance: expected 2 x 2/)
    expect(() => gaussianField({ size: [1, 2], covariance: [1, 2, 2, 1] })).toThrow(/^covariance: .*semi-definite/)
    expect(() => gaussianField({ size: [1, 2], covariance: [1, NaN, 0, 1] })).toThrow(/^covariance: .*finite/)
    const field = recordedField()
    const x = tf.zeros([1, 8, 8, 2])
    expect(() => field.denoise(x, 0)).toThrow(/^x: expected shape \[\?, 8, 8, 1\], got \[1, 8, 8, 2\]/)
    expect(() => field.pooled(3)).toThrow(/^scale: expected a divisor/)
    expect(() => field.sample(0, key(1))).toThrow(/^n/)
    x.dispose()
    field.dispose()
  })
})
