import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkResidualFsq } from '../../golden/finite-scalar.ts'
import { goldenCases } from '../../golden/golden.ts'
import { ScaledQuantizer } from '../../structures/scaled.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { fsq } from '../fsq/fsq.ts'
import { residualFsq, type ResidualFsqOptions } from './residual-fsq.ts'

describe.each(['cpu', 'wasm'] as const)('residual-fsq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: ResidualFsqOptions[] = [
    { levels: [5, 3], layers: 3 },
    { levels: [4, 2, 3], layers: 2, squash: 'tanh', softClamp: 2, dropout: {} },
    { levels: [5], layers: 1, noise: 0.5, estimate: 'layers', gradientFraction: 1 },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(residualFsq, {
      options: () => options,
      badOptions: {
        levels: [[], [1]],
        layers: [0],
        squash: ['relu'],
        softClamp: [0],
        noise: [-1, 2],
        estimate: ['none'],
        gradientFraction: [2],
        dropout: [{ cutoff: 9 }],
      },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('residual-fsq'))('has the values and gradients of the reference: $id', checkResidualFsq)

  it('refines the grid: with each layer the error falls by about the number of levels', async () => {
    const z = key(1).uniform([500, 2], { min: -0.9, max: 0.9 })
    // Wide enough a clamp to leave the input as it is.
    const errors: number[] = []
    for (let layers = 1; layers <= 3; layers++) {
      const { quantized } = residualFsq({ levels: [5, 5], layers, softClamp: 1e3 }).quantize(z)
      errors.push((await tf.max(tf.abs(tf.sub(z, quantized))).data())[0]!)
    }
    expect(errors[1]).toBeLessThan(errors[0]! / 4)
    expect(errors[2]).toBeLessThan(errors[1]! / 4)
  })

  it('gives the encoder the clamp’s gradient, once', async () => {
    const z = key(2).normal([6, 2])
    const quantizer = residualFsq({ levels: [5, 5], layers: 3 })
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(quantizer.quantize(x).quantized))(z)
    const [got, vectors] = [await gradient.data(), await z.data()]
    got.forEach((value, i) => expect(value).toBeCloseTo(1 - Math.tanh(vectors[i]! / 1.25) ** 2, 5))
  })

  it('refuses scales that do not fit', () => {
    expect(() => new ScaledQuantizer(fsq({ levels: [5, 5] }), [1])).toThrow(/^scale/)
    expect(() => new ScaledQuantizer(fsq({ levels: [5] }), [0])).toThrow(/^scale/)
    const several = new ScaledQuantizer(fsq({ levels: [5], codebooks: 2 }), [1, 2])
    expect(() => several.codebook()).toThrow(/^codebook/)
  })
})
