import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { recordedMixture } from '../../golden/distributions.ts'
import { checkClassifierFree, checkGuidedFlow } from '../../golden/guidance.ts'
import { goldenRecords } from '../../golden/golden.ts'
import { edmInterval } from '../limited-interval/limited-interval.ts'
import { classifierFree } from './classifier-free.ts'

describe.each(['cpu', 'wasm'] as const)('classifier-free guidance on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenRecords('guidance/cfg'))('combines as recorded: $id', checkClassifierFree)
  it.each(goldenRecords('guidance/gmm'))('leads where recorded: $id', checkGuidedFlow)

  it('is conditional at weight 1, unconditional at 0, and linear between and beyond', async () => {
    const exact = recordedMixture()
    const x = key(1).normal([3, 2])
    const labels = tf.tensor1d([0, 1, 0], 'int32')
    const [c, u] = [exact.denoise(x, 0, labels), exact.denoise(x, 0)]
    const [conditional, unconditional] = await Promise.all([c.data(), u.data()])
    await fc.assert(
      fc.asyncProperty(fc.double({ min: -3, max: 9, noNaN: true }), async (weight) => {
        const got = classifierFree<tf.Tensor>({ weight })(exact.denoise)(x, 0, labels)
        const values = Array.from(unconditional, (from, i) => from + weight * (conditional[i]! - from))
        await expectGolden('guided', got, { shape: [3, 2], values }, { abs: 1e-5, rel: 1e-5 })
        got.dispose()
      }),
      { numRuns: 20 },
    )
    for (const [weight, wanted] of [
      [1, conditional],
      [0, unconditional],
    ] as const) {
      const got = classifierFree<tf.Tensor>({ weight, rescale: weight })(exact.denoise)(x, 0, labels)
      expect(await got.data()).toEqual(wanted)
      got.dispose()
    }
    tf.dispose([x, labels, c, u])
    exact.dispose()
  })

  it('asks only for what it needs', () => {
    const asked: unknown[] = []
    const denoiser = (x: tf.Tensor, _: number, condition?: string): tf.Tensor => {
      asked.push(condition)
      return tf.clone(x)
    }
    const x = tf.ones([1, 2])
    const interval = edmInterval(0.5, 2)
    const ask = (
      options: Parameters<typeof classifierFree<string>>[0],
      level: number,
      condition?: string,
    ): unknown[] => {
      asked.length = 0
      classifierFree<string>(options)(denoiser)(x, level, condition).dispose()
      return [...asked]
    }
    expect(ask({ weight: 3 }, 0, 'cat')).toEqual([undefined, 'cat'])
    expect(ask({ weight: 1 }, 0, 'cat')).toEqual(['cat'])
    expect(ask({ weight: 0 }, 0, 'cat')).toEqual([undefined])
    expect(ask({ weight: 3 }, 0)).toEqual([undefined])
    expect(ask({ weight: 3, unconditional: 'blurry' }, 0, 'cat')).toEqual(['blurry', 'cat'])
    expect(ask({ weight: 3, interval }, 5, 'cat')).toEqual(['cat'])
    expect(ask({ weight: 3, interval }, -5, 'cat')).toEqual(['cat'])
    expect(ask({ weight: 3, interval }, 0, 'cat')).toEqual([undefined, 'cat'])
    // The noisier end is in, the other is not.
    expect(ask({ weight: 3, interval }, interval.from, 'cat')).toEqual([undefined, 'cat'])
    expect(ask({ weight: 3, interval }, interval.to, 'cat')).toEqual(['cat'])
    expect(ask({ weight: (level) => (level < 0 ? 1 : 2) }, -1, 'cat')).toEqual(['cat'])
    expect(ask({ weight: (level) => (level < 0 ? 1 : 2) }, 1, 'cat')).toEqual([undefined, 'cat'])
    x.dispose()
  })

  it('brings the spread of each sample back', async () => {
    const [c, u] = [key(2).normal([3, 4, 4, 1]), key(3).normal([3, 4, 4, 1])]
    const denoiser = (_: tf.Tensor, __: number, condition?: string): tf.Tensor => tf.clone(condition ? c : u)
    const got = classifierFree<string>({ weight: 6, rescale: 1 })(denoiser)(c, 0, 'cat')
    const spread = async (x: tf.Tensor): Promise<number[]> => {
      const variance = tf.tidy(() => tf.moments(x, [1, 2, 3]).variance)
      const values = Array.from(await variance.data())
      variance.dispose()
      return values
    }
    const [wanted, found] = [await spread(c), await spread(got)]
    found.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 4))
    tf.dispose([c, u, got])
  })

  it('leaves nothing behind, and refuses bad input by name', async () => {
    const exact = recordedMixture()
    const x = key(4).normal([3, 2])
    const labels = tf.tensor1d([0, 1, 0], 'int32')
    for (const rescale of [0, 0.7])
      expect(
        await countLeaks(() => classifierFree<tf.Tensor>({ weight: 3, rescale })(exact.denoise)(x, 0, labels)),
      ).toBe(0)
    tf.dispose([x, labels])
    exact.dispose()
    expect(() => classifierFree({ weight: NaN })).toThrow(/^weight/)
    expect(() => classifierFree({ weight: '3' as never })).toThrow(/^weight/)
    expect(() => classifierFree({ weight: 2, rescale: 1.5 })).toThrow(/^rescale/)
    expect(() => classifierFree({ weight: 2, interval: { from: 1, to: 1 } })).toThrow(/^interval/)
    const bad = classifierFree({ weight: () => NaN })(() => tf.scalar(0))
    expect(() => tf.tidy(() => bad(tf.scalar(0), 0, 'cat'))).toThrow(/^weight: .*at logSNR 0/)
  })
})
