import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkFsp } from '../../golden/finite-scalar.ts'
import { goldenCases } from '../../golden/golden.ts'
import { distributions, type DistributionName } from '../../scalar/distributions.ts'
import { momentLoss } from '../../scalar/moments.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { fsp, type FspOptions } from './fsp.ts'

const names = Object.keys(distributions) as DistributionName[]

describe.each(['cpu', 'wasm'] as const)('fsp on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: FspOptions[] = [
    { levels: [5, 4, 8] },
    { levels: [3, 2], codebooks: 2, distribution: 'normal', rounded: 0.5, moments: { skewness: 0.1, kurtosis: 0.1 } },
    { levels: [6], distribution: 'laplace', rounded: 1 },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(fsp, {
      options: () => options,
      badOptions: {
        levels: [[], [1]],
        codebooks: [0],
        distribution: ['uniform'],
        rounded: [-1, 2],
        moments: [{ mean: -1 }, { target: 0 }, { fifth: 1 }],
      },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('fsp'))('has the values, losses and gradients of the reference: $id', checkFsp)

  it.each(names)(
    '%s is a distribution function: it rises from 0 to 1, with the gradient of finite differences',
    async (name) => {
      const { cumulative } = distributions[name]
      const x = tf.tensor1d(Array.from({ length: 301 }, (_, i) => (i - 150) / 5))
      const values = Array.from(await cumulative(x).data())
      expect(values).toEqual(values.toSorted((a, b) => a - b))
      expect(values[0]).toBeLessThan(0.02)
      expect(values[150]).toBeCloseTo(0.5, 5)
      expect(values[300]).toBeGreaterThan(0.98)
      await checkGradients(({ z }) => cumulative(z), { z: tf.tensor1d([-2, -1.1, -0.3, 0.4, 1.3, 2.2]) })
    },
  )

  it('moves numbers by at most half a level’s width in training, keeps them in range, and rounds outside it', async () => {
    const quantizer = fsp({ levels: [4] })
    const z = key(1).normal([2000, 1])
    const positions = await distributions.tanh.cumulative(z).data()
    const { quantized, indices } = quantizer.quantize(z, { training: true, key: key(2) })
    const [values, levels] = [await quantized.data(), await indices.data()]
    const moved = Array.from(values, (value) => value * 12 ** -0.5 + 0.5)
    moved.forEach((position, i) => {
      expect(Math.abs(position - positions[i]!)).toBeLessThanOrEqual(1 / 8 + 1e-6)
      expect(position).toBeGreaterThan(0)
      expect(position).toBeLessThan(1)
      expect(levels[i]).toBe(Math.min(3, Math.floor(positions[i]! * 4)))
    })
    expect(new Set(values).size).toBeGreaterThan(1900)
    const rounded = await quantizer.quantize(z).quantized.data()
    expect(new Set(rounded).size).toBe(4)
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
  })

  it('keeps the outermost levels for whatever lies beyond', async () => {
    for (const distribution of names) {
      const quantizer = fsp({ levels: [5], distribution })
      const { indices } = quantizer.quantize(tf.tensor2d([[1e8], [-1e8]]))
      expect(await indices.data()).toEqual(Int32Array.from([4, 0]))
    }
  })

  it('has the finite differences of the moments’ loss as gradients, and none of it at its target', async () => {
    const share = tf.fill([8], 1 / 8) as tf.Tensor1D
    const weights = { mean: 0.3, variance: 0.2, skewness: 0.1, kurtosis: 0.1 }
    await checkGradients(({ z }) => momentLoss(z, share, weights), { z: key(3).normal([8, 3]) })
    const spread = tf.tensor2d([[-1], [1], [-1], [1]])
    const even = tf.fill([4], 1 / 4) as tf.Tensor1D
    const loss = momentLoss(spread, even, { mean: 1, variance: 1, target: 4 / 3 })
    expect((await loss.data())[0]).toBeCloseTo(0, 6)
  })
})
