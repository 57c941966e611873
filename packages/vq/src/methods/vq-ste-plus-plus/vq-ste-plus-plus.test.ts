import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Quantizer } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vqStePlusPlus, type VqStePlusPlusOptions } from './vq-ste-plus-plus.ts'

describe.each(['cpu', 'wasm'] as const)('vq-ste++ on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, Partial<VqStePlusPlusOptions>][] = [
    ['learned', {}],
    ['running', { affine: 'running' }],
    ['no map, in place', { affine: 'none', inPlace: { steps: 2, learningRate: 0.5 } }],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(vqStePlusPlus, {
      options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k, ...options }),
      badOptions: {
        dim: [0],
        codebookSize: [0],
        affine: ['diagonal'],
        affineRate: [0],
        synchronisation: [-1],
        beta: [2],
        inPlace: [{ steps: 0 }, { learningRate: 0 }],
      },
      nearest: true,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it('refuses a share of the gradient for codes that are optimised in place', () => {
    expect(() => vqStePlusPlus({ dim: 2, codebookSize: 4, synchronisation: 0.2, inPlace: {} })).toThrow(
      /^synchronisation/,
    )
  })

  it('moves codes that nothing chose, by the map they share', () => {
    const quantizer = vqStePlusPlus({ dim: 2, codebookSize: 8, init: (shape, at) => at.normal(shape) })
    const z = tf.tensor2d([[5, 5]])
    const before = rowsOf(quantizer)
    const { gradients } = valueAndGradients(quantizer.parameters(), () => quantizer.quantize(z, { training: true }))
    for (const [name, gradient] of Object.entries(gradients))
      quantizer.parameters()[name]!.assign(tf.sub(quantizer.parameters()[name]!, tf.mul(0.1, gradient)))
    rowsOf(quantizer).forEach((code, i) => expect(code).not.toEqual(before[i]))
  })

  it('gives its codes the share of the decoder’s gradient', async () => {
    const quantizer = vqStePlusPlus({ dim: 2, codebookSize: 4, affine: 'none', synchronisation: 0.5, beta: 0 })
    const z = key(1).normal([6, 2])
    const { gradients } = valueAndGradients(quantizer.parameters(), () => ({
      loss: tf.sum(quantizer.quantize(z, { training: true }).quantized),
    }))
    const total = (await tf.sum(gradients['codes.weight']!).data())[0]!
    expect(total).toBeCloseTo(0.5 * 12, 4)
  })
})

const rowsOf = (quantizer: Quantizer): number[][] => quantizer.codebook().arraySync() as number[][]
