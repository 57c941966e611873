import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { alphaOf, logSnrOfEdmSigma } from '../noise-level.ts'
import {
  goldenRecord,
  goldenRecords,
  nchw,
  nhwc,
  noiseValues,
  numbersOf,
  schedulerDraw,
  schedulerModel,
  schedulerNoise,
  schedulerRecords,
  schedulerSample,
  sineTensor,
  sineValues,
} from './golden.ts'
import { componentsOf, mixture, mixtureDenoiser, mixtureMean, mixtureSigmas, mixtureStarts } from './mixture.ts'

describe('golden records', () => {
  it('are found by kind, id and scheduler, and missed aloud', () => {
    expect(goldenRecords('grid').length).toBeGreaterThan(1)
    expect(goldenRecord('convert-vp-0').kind).toBe('convert')
    expect(schedulerRecords('DDIMScheduler').every((row) => row.scheduler === 'DDIMScheduler')).toBe(true)
    expect(() => goldenRecords('no such kind')).toThrow(/^kind/)
    expect(() => goldenRecord('no such id')).toThrow(/^id/)
    expect(() => schedulerRecords('no such scheduler')).toThrow(/^scheduler/)
    expect(() => numbersOf('1')).toThrow(/^value/)
  })

  it('turns orders of dimensions into one another', () => {
    const values = Float64Array.from({ length: 24 }, (_, i) => i)
    const turned = nhwc(values, [1, 2, 3, 4])
    expect(Array.from(turned.subarray(0, 4))).toEqual([0, 12, 1, 13])
    expect(nchw(turned, [1, 3, 4, 2])).toEqual(values)
  })
})

describe.each(['cpu', 'wasm'] as const)('fixtures on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('fill as they say', async () => {
    const fill = { shape: [2, 3], step: 0.37, phase: 0.11, amp: 1.5 }
    const x = sineTensor(fill)
    expect(sineValues(fill)[4]).toBe(1.5 * Math.sin(4 * 0.37 + 0.11))
    await expectGolden('x', x, { shape: [2, 3], values: Array.from(sineValues(fill)) }, { abs: 1e-7, rel: 1e-6 })
    const [sample, noise, draw] = [schedulerSample(), schedulerNoise(), schedulerDraw(2)]
    // Element [b, c, h, w] = [3, 2, 1, 5] of NCHW.
    const place = ((3 * 8 + 1) * 8 + 5) * 3 + 2
    expect((await sample.data())[place]).toBeCloseTo((((2 * 8 + 1) * 8 + 5) * 4 + 3) / 768, 6)
    expect((await noise.data())[place]).toBeCloseTo((767 - (((2 * 8 + 1) * 8 + 5) * 4 + 3)) / 768, 6)
    expect((await draw.data())[place]).toBeCloseTo(noiseValues(2, 768)[((3 * 3 + 2) * 8 + 1) * 8 + 5]!, 6)
    const modelled = schedulerModel(sample, 3)
    expect((await modelled.data())[place]).toBeCloseTo(0.75 * (await sample.data())[place]!, 6)
    tf.dispose([x, sample, noise, draw, modelled])
    expect(
      await countLeaks(() => [schedulerSample(), schedulerNoise(), schedulerDraw(0)].map((t) => t.dispose())),
    ).toBe(0)
  })

  it('denoises the mixture exactly, in both coordinates', async () => {
    const at = goldenRecord('gmm-definition').expected['denoiserAt'] as Record<string, number[][]>
    const points = at['x']!
    for (const sigma of [0.02, 0.3, 1, 5, 20]) {
      const expected = numbersOf(at[`sigma${sigma}`])
      points
        .flatMap((x) => mixtureMean(x, sigma))
        .forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-9))
      const alpha = alphaOf(logSnrOfEdmSigma(sigma))
      const x = tf.tensor2d(points.map((point) => point.map((value) => alpha * value)))
      const denoised = mixtureDenoiser()(x, logSnrOfEdmSigma(sigma))
      await expectGolden('denoised', denoised, { shape: [4, 2], values: expected }, { abs: 2e-4, rel: 1e-5 })
      tf.dispose([x, denoised])
    }
    const x = tf.tensor2d(mixtureStarts)
    expect(await countLeaks(() => mixtureDenoiser()(x, -1))).toBe(0)
    const pure = mixtureDenoiser()(x, -Infinity)
    // Noise alone says nothing: the mean of the mixture.
    const mean = [0, 1].map((i) => mixture.means.reduce((sum, mu, k) => sum + mixture.weights[k]! * mu[i]!, 0))
    await expectGolden('pure', pure, { shape: [12, 2], row: { shape: [2], values: mean } }, { abs: 1e-5, rel: 0 })
    tf.dispose([x, pure])
  })

  it('takes components by themselves', () => {
    const part = componentsOf(mixture, [0, 2, 4])
    expect(part.weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12)
    expect(part.means[1]).toEqual(mixture.means[2])
    expect(mixtureSigmas.max).toBeGreaterThan(mixtureSigmas.min)
  })
})
