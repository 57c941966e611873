import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Denoiser } from '../../denoiser.ts'
import { type GaussianField, gaussianField } from '../../distributions/gaussian-field.ts'
import { lowCovariance, recordedField } from '../../golden/distributions.ts'
import { checkHeaviside, checkUpsample } from '../../golden/guidance.ts'
import { goldenRecords } from '../../golden/golden.ts'
import { alphaOf, type LogSnr, sigmaOf } from '../../noise-level.ts'
import { classifierFree } from '../classifier-free/classifier-free.ts'
import { compose } from '../compose.ts'
import { heavisideWeight, upsample } from './upsample.ts'

/** E[D x0 | D x_t] on the 4 by 4 pixels of the recorded field, in double precision, by elimination. */
function conditionalMean(pooled: ArrayLike<number>, logSnr: LogSnr, scale: number): number[] {
  const [alpha, sigma] = [alphaOf(logSnr), sigmaOf(logSnr)]
  const covariance = (i: number, j: number): number => {
    const [dy, dx] = [Math.floor(j / 4) - Math.floor(i / 4), (j % 4) - (i % 4)].map((d) => (d + 4) % 4)
    return lowCovariance[dy! * 4 + dx!]!
  }
  const rows = Array.from({ length: 16 }, (_, i) => [
    ...Array.from({ length: 16 }, (_, j) => alpha ** 2 * covariance(i, j) + (i === j ? (sigma / scale) ** 2 : 0)),
    pooled[i]!,
  ])
  for (let p = 0; p < 16; p++)
    for (let i = 0; i < 16; i++) {
      if (i === p) continue
      const factor = rows[i]![p]! / rows[p]![p]!
      for (let j = p; j <= 16; j++) rows[i]![j]! -= factor * rows[p]![j]!
    }
  const solved = rows.map((row, i) => row[16]! / row[i]!)
  return solved.map((_, i) => solved.reduce((sum, value, j) => sum + alpha * covariance(i, j) * value, 0))
}

/**
 * What a model of low resolution does on an image of high resolution, whose translations it is equivariant to: its
 * covariances by distance in pixels, on a larger board.
 */
function naiveField(low: GaussianField, size: number): GaussianField {
  const [small] = low.shape
  const covariance = low.autocovariance()
  // An even board's greatest distance stands for both directions.
  const share = (d: number): number => (2 * Math.abs(d) === small ? 0.5 : 1)
  const spectrum = (v: number, h: number): number => {
    let sum = 0
    for (let dy = -small / 2; dy <= small / 2; dy++)
      for (let dx = -small / 2; dx <= small / 2; dx++) {
        const value = covariance[((dy + small) % small) * small + ((dx + small) % small)]!
        sum += share(dy) * share(dx) * value * Math.cos((2 * Math.PI * (v * dy + h * dx)) / size)
      }
    return Math.max(0, sum)
  }
  return gaussianField({ size: [size, size], spectrum })
}

describe.each(['cpu', 'wasm'] as const)('upsample guidance on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenRecords('ug/step'))('guides noise as recorded: $id', checkUpsample)
  it.each(goldenRecords('ug/heaviside'))('weighs time as recorded: $id', checkHeaviside)

  it('gives block means their exact expectation, whatever the denoiser of high resolution says', async () => {
    const low = recordedField().pooled(2)
    const images = key(1).normal([2, 8, 8, 1])
    const pooled = tf.avgPool(images as tf.Tensor4D, 2, 2, 'valid')
    const rows = (await tf.reshape(pooled, [2, 16]).array()) as number[][]
    for (const level of [-6, -2, 0, 1.5, 6]) {
      const guided = upsample({ scale: 2, lowResolution: low.denoise })((x) => tf.mul(x, 0.3))(images, level)
      const means = tf.tidy(() => tf.avgPool(guided as tf.Tensor4D, 2, 2, 'valid'))
      const values = rows.flatMap((row) => conditionalMean(row, level, 2))
      await expectGolden(`logSNR ${level}`, means, { shape: [2, 4, 4, 1], values }, { abs: 1e-5, rel: 1e-5 })
      tf.dispose([guided, means])
    }
    tf.dispose([images, pooled])
    low.dispose()
  })

  it('beats the model of low resolution alone where noise is strong, and needs its level and its power', async () => {
    const scale = 2
    const high = recordedField(16)
    const low = high.pooled(scale)
    const naive = naiveField(low, 16)
    const n = 64
    const clean = high.sample(n, key(2))
    const noise = key(3).normal([n, 16, 16, 1])
    const rhoOf = (level: LogSnr): number => Math.sqrt(alphaOf(level) ** 2 + (sigmaOf(level) / scale) ** 2)
    const shift = 2 * Math.log(scale)
    // What the low model takes for noise at the wrong level, as clean sample at the right one.
    const wrongLevel: Denoiser = (y, tau) =>
      tf.tidy(() => {
        const level = tau - shift
        const eps = tf.div(tf.sub(y, tf.mul(alphaOf(level), low.denoise(y, level))), sigmaOf(level))
        return tf.div(tf.sub(y, tf.mul(sigmaOf(tau), eps)), alphaOf(tau))
      })
    const wrongPower: Denoiser = (y, tau) =>
      tf.tidy(() => {
        const wide = tf.mul(y, rhoOf(tau - shift))
        const eps = tf.div(tf.sub(wide, tf.mul(alphaOf(tau), low.denoise(wide, tau))), sigmaOf(tau))
        return tf.div(tf.sub(y, tf.mul(sigmaOf(tau), eps)), alphaOf(tau))
      })
    const guided = (lowResolution: Denoiser, weight: number): Denoiser =>
      upsample({ scale, weight, lowResolution })(naive.denoise)
    const relativeErrors = async (level: LogSnr): Promise<number[]> => {
      const x = tf.tidy(() => tf.add(tf.mul(alphaOf(level), clean), tf.mul(sigmaOf(level), noise)))
      const eps = (denoiser: Denoiser): tf.Tensor =>
        tf.tidy(() => tf.div(tf.sub(x, tf.mul(alphaOf(level), denoiser(x, level))), sigmaOf(level)))
      const exact = eps(high.denoise)
      const errors: number[] = []
      for (const denoiser of [
        naive.denoise,
        guided(low.denoise, 1),
        guided(low.denoise, 1.2),
        guided(wrongLevel, 1),
        guided(wrongPower, 1),
      ]) {
        const error = tf.tidy(() =>
          tf.div(tf.sum(tf.squaredDifference(eps(denoiser), exact)), tf.sum(tf.square(exact))),
        )
        errors.push((await error.data())[0]!)
        error.dispose()
      }
      tf.dispose([x, exact])
      return errors
    }
    for (const level of [-5, -4, -3, -2]) {
      const [alone, best, strong, noLevel, noPower] = (await relativeErrors(level)) as [
        number,
        number,
        number,
        number,
        number,
      ]
      expect(best).toBeLessThan(alone)
      expect(strong).toBeLessThan(alone)
      expect(noLevel).toBeGreaterThan(1.2 * alone)
      expect(noPower).toBeGreaterThan(1.2 * alone)
    }
    // Where little noise is left, it does harm.
    const [alone, best] = await relativeErrors(0)
    expect(best).toBeGreaterThan(alone!)
    tf.dispose([clean, noise])
    for (const field of [high, low, naive]) field.dispose()
  })

  it('takes any whole scale, any channels, and any shape divisible by it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 4 }),
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
        fc.double({ min: -1, max: 2, noNaN: true }),
        async (scale, [h, w, c], weight) => {
          const x = key(4).normal([2, h * scale, w * scale, c])
          const [a, b] = [0.4, -0.9]
          const guidance = upsample({ scale, weight, lowResolution: (y) => tf.mul(y, b) })
          const got = guidance((y) => tf.mul(y, a))(x, 0.5)
          const values = (await x.array()) as number[][][][]
          const power = Math.sqrt(alphaOf(0.5) ** 2 + (sigmaOf(0.5) / scale) ** 2)
          const wanted = values.flatMap((image) =>
            image.flatMap((row, i) =>
              row.flatMap((pixel, j) =>
                pixel.map((value, k) => {
                  let mean = 0
                  for (let di = 0; di < scale; di++)
                    for (let dj = 0; dj < scale; dj++)
                      mean += image[i - (i % scale) + di]![j - (j % scale) + dj]![k]! / scale ** 2
                  return a * value + weight * ((b * mean) / power - a * mean)
                }),
              ),
            ),
          )
          await expectGolden('guided', got, { shape: x.shape, values: wanted }, { abs: 1e-5, rel: 1e-5 })
          tf.dispose([x, got])
        },
      ),
      { numRuns: 15 },
    )
  })

  it('asks the denoiser itself for low resolution, with its condition, and not at all at weight 0', () => {
    const asked: unknown[] = []
    const denoiser: Denoiser = (x, logSnr, condition) => {
      asked.push([x.shape[1], logSnr, condition])
      return tf.clone(x)
    }
    const x = tf.ones([1, 6, 6, 1])
    const weight = heavisideWeight({ theta: 1.2, eta: 0.5, schedule: (t) => 10 - 20 * t })
    const guided = upsample({ scale: 3, weight })(denoiser)
    guided(x, -1, 'cat').dispose()
    expect(asked).toEqual([
      [6, -1, 'cat'],
      [2, -1 + 2 * Math.log(3), 'cat'],
    ])
    asked.length = 0
    guided(x, 1, 'cat').dispose()
    expect(asked).toEqual([[6, 1, 'cat']])
    x.dispose()
  })

  it('inside classifier-free guidance or around it is the same, but where the interval or a rescale tells', async () => {
    const fields = (slope: number, mean: number): Record<number, GaussianField> => {
      const spectrum = (v: number, h: number): number => (1 + v * v + h * h) ** -slope
      const of = (n: number): GaussianField => gaussianField({ size: [n, n], spectrum, variance: 1, mean })
      return { 8: of(8), 4: of(4) }
    }
    const networks: Record<string, Record<number, GaussianField>> = { cat: fields(3, 1), none: fields(1, 0) }
    const denoiser: Denoiser<string> = (x, logSnr, condition = 'none') =>
      networks[condition]![x.shape[1]!]!.denoise(x, logSnr)
    const x = key(5).normal([2, 8, 8, 1])
    const apart = async (options: Parameters<typeof classifierFree<string>>[0]): Promise<number> => {
      const [up, free] = [upsample<string>({ scale: 2, weight: 0.8 }), classifierFree<string>(options)]
      const [inside, around] = [compose(up, free), compose(free, up)].map((both) => both(denoiser)(x, -1, 'cat'))
      // compose(up, free) is free(up(denoiser)).
      const written = free(up(denoiser))(x, -1, 'cat')
      expect(await inside!.data()).toEqual(await written.data())
      const off = tf.tidy(() => tf.max(tf.abs(tf.sub(inside!, around!))))
      const [value] = await off.data()
      tf.dispose([inside!, around!, written, off])
      return value!
    }
    expect(await apart({ weight: 3 })).toBeLessThan(1e-5)
    // The low resolution is asked at logSNR -1 + 2 ln 2, outside of this interval.
    expect(await apart({ weight: 3, interval: { from: -2, to: 0 } })).toBeGreaterThan(1e-2)
    expect(await apart({ weight: 3, rescale: 0.7 })).toBeGreaterThan(1e-3)
    const untouched = compose<string>()(denoiser)
    expect(untouched).toBe(denoiser)
    x.dispose()
    for (const sizes of Object.values(networks)) for (const field of Object.values(sizes)) field.dispose()
  })

  it('leaves nothing behind, and refuses bad input by name', async () => {
    const x = key(6).normal([1, 4, 6, 2])
    const guided = upsample({ scale: 2 })((y) => tf.mul(y, 0.5))
    expect(await countLeaks(() => guided(x, 0))).toBe(0)
    expect(() => upsample({ scale: 3 })((y) => tf.clone(y))(x, 0)).toThrow(/^x: .*divisible by 3, got \[1, 4, 6, 2\]/)
    expect(() => tf.tidy(() => guided(tf.zeros([4, 4]), 0))).toThrow(/^x/)
    x.dispose()
    expect(() => upsample({ scale: 1 })).toThrow(/^scale/)
    expect(() => upsample({ scale: 1.5 })).toThrow(/^scale/)
    expect(() => upsample({ scale: 2, weight: NaN })).toThrow(/^weight/)
    const schedule = (): number => 0
    expect(() => heavisideWeight({ theta: NaN, eta: 1, schedule })).toThrow(/^theta/)
    expect(() => heavisideWeight({ theta: 1, eta: 1.5, schedule })).toThrow(/^eta/)
  })
})
