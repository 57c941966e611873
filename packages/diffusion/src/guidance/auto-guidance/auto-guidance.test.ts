import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { gaussianMixture } from '../../distributions/gaussian-mixture.ts'
import { autoGuidance } from './auto-guidance.ts'

describe.each(['cpu', 'wasm'] as const)('autoguidance on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('leads away from the weak denoiser, with the condition for both', async () => {
    const options = { means: [[-1, 0], [1, 0]], labels: [0, 1] } // prettier-ignore
    const [strong, weak] = [0.05, 0.5].map((covariances) => gaussianMixture({ ...options, covariances }))
    const x = key(1).normal([4, 2])
    const labels = tf.tensor1d([0, 0, 1, 1], 'int32')
    const [a, b] = await Promise.all([strong!, weak!].map((each) => each.denoise(x, 0, labels).data()))
    for (const weight of [0, 1, 2.5]) {
      const got = autoGuidance(weak!.denoise, { weight })(strong!.denoise)(x, 0, labels)
      const values = Array.from(a!, (value, i) => b![i]! + weight * (value - b![i]!))
      await expectGolden(`weight ${weight}`, got, { shape: [4, 2], values }, { abs: 1e-6, rel: 1e-5 })
      got.dispose()
    }
    const limited = autoGuidance(weak!.denoise, { weight: 3, interval: { from: -1, to: 1 } })(strong!.denoise)
    const outside = limited(x, 1, labels)
    const plain = strong!.denoise(x, 1, labels)
    expect(await outside.data()).toEqual(await plain.data())
    expect(await countLeaks(() => limited(x, 0, labels))).toBe(0)
    tf.dispose([x, labels, outside, plain])
    strong!.dispose()
    weak!.dispose()
  })

  it('refuses bad input by name', () => {
    const weak = (): tf.Tensor => tf.scalar(0)
    expect(() => autoGuidance(weak, { weight: Infinity })).toThrow(/^weight/)
    expect(() => autoGuidance(weak, { weight: 2, interval: { from: 0, to: 0 } })).toThrow(/^interval/)
  })
})
