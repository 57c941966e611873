import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { nearest } from '../../assignment/nearest.ts'
import { ditheredCodes, spaceFilling } from '../../estimators/space-filling.ts'
import { expectGoldenPull, goldenCases } from '../../golden/golden.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { sfDiveq } from './sf-diveq.ts'

describe.each(['cpu', 'wasm'] as const)('sf-diveq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(sfDiveq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: { dim: [0], codebookSize: [0, 1], noise: [-1] },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each(goldenCases('sf-diveq'))('has the values and gradients of the reference: $id', async (c) => {
    const dither = goldenTensor<tf.Rank.R2>(c.inputs['dither']!)
    const noise = ['noise1', 'noise2'].map((name) =>
      tf.mul(goldenTensor<tf.Rank.R2>(c.inputs[name]!), c.config['noise_sd'] as number),
    ) as [tf.Tensor2D, tf.Tensor2D]
    const segments = nearest(goldenTensor(c.inputs['z']!), ditheredCodes(goldenTensor(c.inputs['E']!), dither))
    await expectGolden('indices', segments, c.expected['indices']!, { abs: 0, rel: 0 })
    await expectGoldenPull(c, (z, E) => spaceFilling(z, E, segments, dither, noise))
  })

  it('gives points on the curve in training, without noise', async () => {
    const quantizer = sfDiveq({ dim: 2, codebookSize: 5, noise: 0, init: (shape, at) => at.normal(shape) })
    const codes = (await quantizer.codebook().array()) as [number, number][]
    const { quantized, indices } = quantizer.quantize(key(1).normal([40, 2]), { training: true, key: key(2) })
    const [values, segments] = [(await quantized.array()) as [number, number][], await indices.data()]
    values.forEach(([x, y], i) => {
      const [a, b] = [codes[segments[i]!]!, codes[segments[i]! + 1]!]
      const cross = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
      expect(Math.abs(cross)).toBeLessThan(1e-4)
      const along =
        ((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2)
      expect(along).toBeGreaterThanOrEqual(-1e-4)
      expect(along).toBeLessThanOrEqual(1 + 1e-4)
    })
    expect(() => quantizer.quantize(tf.zeros([2, 2]), { training: true })).toThrow(/^key/)
  })

  it('moves both codes of a segment', async () => {
    const quantizer = sfDiveq({ dim: 1, codebookSize: 4, noise: 0 })
    quantizer.load({ 'codes.weight': tf.tensor2d([0, 2, 30, 40], [4, 1]) })
    const z = tf.tensor2d([[-1]])
    const { gradients } = valueAndGradients(quantizer.parameters(), () => ({
      loss: tf.sum(quantizer.quantize(z, { training: true, key: key(3) }).quantized),
    }))
    const [first, second, ...rest] = await gradients['codes.weight']!.data()
    expect(first).toBeGreaterThan(0)
    expect(second).toBeGreaterThan(0)
    expect(rest).toEqual([0, 0])
  })
})
