import * as tf from '@tensorflow/tfjs-core'
import { useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkLatentQuantize } from '../../golden/finite-scalar.ts'
import { goldenCases } from '../../golden/golden.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { latentQuantization, type LatentQuantizationOptions } from './latent-quantization.ts'

describe.each(['cpu', 'wasm'] as const)('latent-quantization on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: LatentQuantizationOptions[] = [
    { levels: [5, 4, 3] },
    { levels: [2, 6], codebooks: 2, trainable: false, commitment: 1 },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(latentQuantization, {
      options: () => options,
      badOptions: {
        levels: [[], [1], [70000, 70000]],
        codebooks: [0],
        trainable: ['no'],
        commitment: [-1],
        codebookWeight: [-1],
      },
      nearest: options.codebooks === undefined,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('latent-quantize'))('has the values of the reference: $id', checkLatentQuantize)

  it('numbers every value exactly, where rounding of values to indices went wrong', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 64 }), async (L) => {
        const quantizer = latentQuantization({ levels: [L] })
        const all = tf.range(0, L, 1, 'int32')
        const { indices, ...rest } = quantizer.quantize(quantizer.decode(all))
        expect(await indices.data()).toEqual(await all.data())
        tf.dispose([all, indices, rest])
        quantizer.dispose()
      }),
    )
    for (const L of [15, 22, 24, 26, 27, 29, 31]) {
      const quantizer = latentQuantization({ levels: [L, 3] })
      const all = tf.range(0, 3 * L, 1, 'int32')
      expect(await quantizer.quantize(quantizer.decode(all)).indices.data()).toEqual(await all.data())
    }
  })

  it('moves its values to the numbers that choose them', async () => {
    const quantizer = latentQuantization({ levels: [3], codebookWeight: 1 })
    const z = tf.tensor2d([[-0.8], [-0.7], [0.1], [0.9]])
    for (let step = 0; step < 200; step++) {
      const { gradients, loss } = valueAndGradients(quantizer.parameters(), () =>
        quantizer.quantize(z, { training: true }),
      )
      for (const [name, parameter] of Object.entries(quantizer.parameters()))
        parameter.assign(tf.tidy(() => tf.sub(parameter, gradients[name]!)))
      tf.dispose([gradients, loss])
    }
    const [low, middle, high] = await quantizer.codebook().data()
    expect(low).toBeCloseTo(-0.75, 3)
    expect(middle).toBeCloseTo(0.1, 3)
    expect(high).toBeCloseTo(0.9, 3)
    // Decoding has the learned values.
    const { quantized, indices } = quantizer.quantize(z)
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
  })

  it('has the finite differences of its losses as gradients, of vectors and of values', async () => {
    const z = tf.tensor2d([
      [-0.4, 0.3],
      [0.1, -0.2],
      [0.44, 0.02],
    ])
    const quantizer = latentQuantization({ levels: [3, 2], commitment: 0.7, codebookWeight: 0 })
    // Far enough from the borders between levels that no difference crosses one.
    await checkGradients(
      ({ x }) => quantizer.quantize(x, { training: true }).terms['commitment']!,
      { x: z },
      { step: 1e-3, tolerance: 1e-2 },
    )
    const learned = latentQuantization({ levels: [3, 2], codebookWeight: 1, commitment: 0 })
    await checkGradients(() => learned.quantize(z, { training: true }).loss, learned.parameters(), {
      step: 1e-3,
      tolerance: 1e-2,
    })
  })
})
