import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { quantizerConformance } from '../../testing/index.ts'
import { residualLfq, type ResidualLfqOptions } from './residual-lfq.ts'

describe.each(['cpu', 'wasm'] as const)('residual-lfq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: ResidualLfqOptions[] = [
    { bits: 3, layers: 3 },
    { bits: 2, layers: 2, spherical: true, inverseTemperature: 1, commitment: 0.25 },
    { bits: 4, layers: 2, softClamp: 1.5, dropout: {}, estimate: 'layers' },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(residualLfq, {
      options: () => options,
      badOptions: { bits: [0, 31], layers: [0], softClamp: [0.5], commitment: [-1], spherical: ['yes'] },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it('decodes to what it quantized on spheres too, within the last layer’s reach', async () => {
    const z = key(1).normal([100, 4])
    for (const spherical of [true, false]) {
      const quantizer = residualLfq({ bits: 4, layers: 4, spherical })
      const { quantized, indices } = quantizer.quantize(z)
      expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    }
  })

  it('is the binary expansion of numbers within ±2', async () => {
    const z = key(2).uniform([200, 3], { min: -1.99, max: 1.99 })
    const { quantized } = residualLfq({ bits: 3, layers: 6 }).quantize(z)
    const worst = (await tf.max(tf.abs(tf.sub(z, quantized))).data())[0]!
    expect(worst).toBeLessThanOrEqual(2 ** -5 + 1e-6)
  })

  it('has the finite differences of its first layer’s losses as gradients', async () => {
    const quantizer = residualLfq({ bits: 3, layers: 1, inverseTemperature: 0.5, entropyWeight: 1 })
    await checkGradients(({ x }) => quantizer.quantize(x, { training: true }).loss, { x: key(3).normal([6, 3]) })
  })
})
