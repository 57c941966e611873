import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkVqGradients, checkVqvaeLoss } from '../../golden/codebooks.ts'
import { goldenCases } from '../../golden/golden.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { type Quantization } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vq } from './vq.ts'

describe.each(['cpu', 'wasm'] as const)('vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(vq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: {
      dim: [0, 1.5, '4', undefined],
      codebookSize: [0, -1, Number.NaN],
      commitment: [-1, 'much'],
      codebookWeight: [-0.5],
      init: [3],
      kMeans: [{ iterations: 0 }, 'yes'],
      deadCodes: [{ threshold: -1 }, { decay: 1 }],
      key: [42],
    },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  // The peer's loss is one mse with gradient to both sides: half the sum of our two terms at equal weight.
  it.each(goldenCases('vq-gradients'))('has the values and gradients of the reference: $id', checkVqGradients)

  it.each(goldenCases('vqvae-loss'))('puts beta on the right term: $id', checkVqvaeLoss)

  it('has the finite differences of its two terms as gradients', async () => {
    const quantizer = vq({ dim: 3, codebookSize: 5, init: (shape, at) => at.normal(shape) })
    const z = key(3).normal<tf.Rank.R2>([7, 3])
    const codes = quantizer.codebook()
    const { indices, quantized: q, ...rest } = quantizer.quantize(z) as Quantization & { quantized: tf.Tensor2D }
    // Each term as a function of the one side that it has a gradient for, the choices held.
    await checkGradients(({ x }) => commitmentLoss(0.25)({ z: x, q, counts: null }), { x: z })
    await checkGradients(
      ({ e }) => {
        const chosen = tf.matMul(tf.oneHot(indices as tf.Tensor1D, 5), e) as tf.Tensor2D
        return codebookLoss(1)({ z, q: chosen, counts: null })
      },
      { e: codes },
    )
    tf.dispose([z, codes, indices, q, rest])
    quantizer.dispose()
  })

  it('leaves unchosen codes where they are', async () => {
    const quantizer = vq({ dim: 2, codebookSize: 3 })
    const codes = tf.tensor2d([
      [0, 0],
      [10, 10],
      [20, 20],
    ])
    quantizer.load({ 'codes.weight': codes })
    const z = tf.tensor2d([
      [0.1, 0],
      [10, 10.1],
    ])
    const { gradients, loss } = valueAndGradients(quantizer.parameters(), () =>
      quantizer.quantize(z, { training: true }),
    )
    const gradient = (await gradients['codes.weight']!.array()) as number[][]
    expect(gradient[2]).toEqual([0, 0])
    expect(gradient[0]![0]).toBeLessThan(0)
    tf.dispose([codes, z, gradients, loss])
    quantizer.dispose()
  })

  it('starts by k-means and revives dead codes when asked', async () => {
    const quantizer = vq({ dim: 2, codebookSize: 8, kMeans: {}, deadCodes: { threshold: 0.5, decay: 0.5 } })
    const z = key(1).normal([64, 2], { mean: 5 })
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
    for (let step = 0; step < 6; step++) tf.dispose(quantizer.quantize(z, { training: true, key: key(step) }))
    const { indices, ...rest } = quantizer.quantize(z)
    expect(new Set(await indices.data()).size).toBe(8)
    tf.dispose([z, indices, rest])
    quantizer.dispose()
  })
})
