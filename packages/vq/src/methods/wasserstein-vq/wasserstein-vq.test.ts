import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, train, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { squareRoot, wassersteinDistance } from '../../losses/wasserstein.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { wassersteinVq } from './wasserstein-vq.ts'

describe.each(['cpu', 'wasm'] as const)('wasserstein-vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(wassersteinVq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: { dim: [0], codebookSize: [0], matching: [-1], commitment: [-1], codebookWeight: [-1], estimator: [1] },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each(goldenCases('wasserstein'))('has the value and gradient of the reference: $id', async (c) => {
    const E = tf.variable(goldenTensor<tf.Rank.R2>(c.inputs['E']!))
    const z = goldenTensor<tf.Rank.R2>(c.inputs['z']!)
    const { loss, gradients } = valueAndGradients({ E }, () => ({
      loss: wassersteinDistance(z, E as unknown as tf.Tensor2D, null),
    }))
    await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_E', gradients['E']!, c.expected['grad_E']!, c.tolerance)
  })

  it('finds roots by products alone', async () => {
    for (const [d, n] of [
      [5, 40],
      [8, 9],
      [6, 4],
    ] as const) {
      const x = key(d).normal<tf.Rank.R2>([n, d])
      const matrix = tf.div(tf.matMul(x, x, true), n) as tf.Tensor2D
      const { root } = squareRoot(matrix)
      const [squared, wanted] = [await tf.matMul(root, root).data(), await matrix.data()]
      squared.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 4))
    }
    const { root, inverse } = squareRoot(tf.diag(tf.tensor1d([4, 9, 0.25])) as tf.Tensor2D)
    ;[2, 0, 0, 0, 3, 0, 0, 0, 0.5].forEach((value, i) => expect(root.dataSync()[i]).toBeCloseTo(value, 3))
    ;[1 / 2, 0, 0, 0, 1 / 3, 0, 0, 0, 2].forEach((value, i) => expect(inverse.dataSync()[i]).toBeCloseTo(value, 3))
  })

  it('has finite differences as gradients', async () => {
    const [z, codes] = [key(1).normal<tf.Rank.R2>([30, 3]), key(2).normal<tf.Rank.R2>([12, 3], { mean: 1 })]
    await checkGradients(({ e }) => wassersteinDistance(z, e, null), { e: codes }, { tolerance: 5e-3 })
  })

  it('is 0 between equal sets, and leaves masked vectors out', async () => {
    const z = key(3).normal<tf.Rank.R2>([20, 3])
    expect((await wassersteinDistance(z, z, null).data())[0]).toBeLessThan(5e-3)
    const codes = key(4).normal<tf.Rank.R2>([12, 3], { mean: 1 })
    const counts = tf.tensor1d(Array.from({ length: 20 }, (_, i) => (i < 15 ? 1 : 0)))
    const wild = tf.concat([tf.slice(z, 0, 15), tf.mul(tf.slice(z, 15, 5), 100)]) as tf.Tensor2D
    const [masked, alone] = [
      wassersteinDistance(wild, codes, counts),
      wassersteinDistance(tf.slice(z, 0, 15), codes, null),
    ]
    expect((await masked.data())[0]).toBeCloseTo((await alone.data())[0]!, 4)
  })

  it('is finite for too few vectors, equal vectors and equal codes', async () => {
    const sets = [tf.ones<tf.Rank.R2>([1, 3]), tf.ones<tf.Rank.R2>([8, 3]), key(5).normal<tf.Rank.R2>([2, 3])]
    for (const z of sets)
      for (const codes of sets) {
        const gradient = tf.grad((e: tf.Tensor) => wassersteinDistance(z, e as tf.Tensor2D, null))(codes)
        expect((await gradient.data()).every(Number.isFinite)).toBe(true)
      }
  })

  it('brings the codes to where the vectors are spread', async () => {
    const quantizer = wassersteinVq({
      dim: 4,
      codebookSize: 32,
      init: (shape, at) => at.normal(shape, { standardDeviation: 0.01 }),
    })
    const cloud = (seed: number): tf.Tensor =>
      tf.tidy(() => tf.mul(key(seed).normal([128, 4], { mean: 2 }), [1, 2, 0.5, 1]))
    await train(quantizer, {
      steps: 90,
      progress: 'silent',
      optimizer: new AdamW({ learningRate: 0.1, weightDecay: 0 }),
      data: ({ step }) => cloud(step),
      loss: (z) => quantizer.quantize(z, { training: true }).loss,
    })
    const z = cloud(9999)
    const codes = quantizer.codebook()
    const [a, b] = [await tf.mean(codes, 0).data(), await tf.mean(z, 0).data()]
    a.forEach((value, i) => expect(Math.abs(value - b[i]!)).toBeLessThan(0.6))
    expect(new Set(await quantizer.quantize(z).indices.data()).size).toBeGreaterThan(20)
  })
})
