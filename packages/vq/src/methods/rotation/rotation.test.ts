import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { quantizerConformance } from '../../testing/index.ts'
import { vq } from '../vq/vq.ts'
import { rotation } from './rotation.ts'

describe.each(['cpu', 'wasm'] as const)('rotation on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(rotation, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: { dim: [0], codebookSize: [0], scaled: ['yes', 1], commitment: [-1] },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it('differs from vq in the gradient alone', async () => {
    const init = {
      dim: 4,
      codebookSize: 16,
      commitment: 0,
      init: (shape: [number, number]) => key(1).normal<tf.Rank.R2>(shape),
    }
    const z = tf.variable(key(2).normal([10, 4]))
    const g = key(3).normal([10, 4])
    const [plain, turned, unscaled] = [vq(init), rotation(init), rotation({ ...init, scaled: false })].map(
      (quantizer) => {
        const { gradients, metrics } = valueAndGradients({ z }, () => {
          const { quantized } = quantizer.quantize(z, { training: true })
          return { loss: tf.sum(tf.mul(g, quantized)), metrics: { quantized } }
        })
        return { gradient: gradients['z']!, quantized: metrics['quantized']!, quantizer }
      },
    )
    expect(await turned!.quantized.data()).toEqual(await plain!.quantized.data())
    expect(await turned!.gradient.data()).not.toEqual(await plain!.gradient.data())
    const lengths = await Promise.all(
      [z, turned!.quantized, turned!.gradient, unscaled!.gradient, g].map((x) => tf.norm(x, 2, 1).data()),
    )
    for (let i = 0; i < 10; i++) {
      const [vector, code, scaled, kept, given] = lengths.map((values) => values[i]!) as [
        number,
        number,
        number,
        number,
        number,
      ]
      expect(scaled).toBeCloseTo((given * code) / vector, 3)
      expect(kept).toBeCloseTo(given, 3)
    }
  })
})
