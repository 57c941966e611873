import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { rotationTrick } from '../../estimators/rotation.ts'
import { beamSearch } from '../../structures/beam.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { residualSimvq, type ResidualSimvqOptions } from './residual-simvq.ts'

describe.each(['cpu', 'wasm'] as const)('residual-simvq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, Partial<ResidualSimvqOptions>][] = [
    ['linear', {}],
    [
      'diagonal, rotated, beam',
      { transform: 'diagonal', estimator: rotationTrick(), estimate: 'layers', search: beamSearch(2) },
    ],
    ['wider codes, trained', { codeDim: 5, trainableCodes: true, bias: false, dropout: { cutoff: 1 } }],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(residualSimvq, {
      options: (k) => ({ dim: 3, codebookSize: 8, layers: 2, key: k, ...options }),
      badOptions: {
        dim: [0],
        codebookSize: [0],
        layers: [0],
        transform: ['quadratic'],
        bias: [1],
        codeDim: [0],
        trainableCodes: ['no'],
        commitment: [-1],
        codebookWeight: [-1],
        estimator: ['ste'],
        search: [2],
      },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it('trains the maps of all layers, each towards what is left for it', async () => {
    const quantizer = residualSimvq({ dim: 3, codebookSize: 16, layers: 3 })
    expect(quantizer.codebook().shape).toEqual([3, 16, 3])
    const z = key(1).normal([128, 3])
    const error = async (): Promise<number> =>
      (await tf.mean(tf.squaredDifference(z, quantizer.quantize(z).quantized)).data())[0]!
    const before = await error()
    for (let step = 0; step < 60; step++) {
      const { gradients, loss } = valueAndGradients(quantizer.parameters(), () => ({
        loss: quantizer.quantize(z, { training: true }).loss,
      }))
      for (const [name, parameter] of Object.entries(quantizer.parameters()))
        parameter.assign(tf.tidy(() => tf.sub(parameter, tf.mul(1, gradients[name]!))))
      tf.dispose([gradients, loss])
    }
    expect(await error()).toBeLessThan(before)
  })
})
