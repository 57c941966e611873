import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkBsq } from '../../golden/lookup-free.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { bsq, type BsqOptions } from './bsq.ts'

describe.each(['cpu', 'wasm'] as const)('bsq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: BsqOptions[] = [
    { bits: 4 },
    { bits: 3, codebooks: 2, entropy: 'analytical', inverseTemperature: 3 },
    { bits: 5, normalise: false, groupSize: 2 },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(bsq, {
      options: () => options,
      badOptions: {
        bits: [0, 31],
        codebooks: [0],
        normalise: [1],
        commitment: [-1],
        entropyWeight: [-1],
        certainty: [-1],
        diversity: [-1],
        inverseTemperature: [0],
        entropy: ['exact'],
        groupSize: [0],
      },
      nearest: options.codebooks === undefined,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('bsq-official'))('has the values, losses and gradients of the authors: $id', checkBsq)

  it('has the finite differences of its losses as gradients', async () => {
    const z = key(2).normal([9, 6])
    const [grouped, analytical] = [
      bsq({ bits: 6, groupSize: 3 }),
      bsq({ bits: 3, codebooks: 2, entropy: 'analytical' }),
    ]
    for (const quantizer of [grouped, analytical])
      await checkGradients(({ x }) => quantizer.quantize(x, { training: true }).loss, { x: z })
    z.dispose()
  })

  it('keeps the error of every code below the bound of the paper, and all codes on the sphere', async () => {
    const [d, n] = [8, 200]
    const quantizer = bsq({ bits: d })
    const z = key(4).normal([n, d], { standardDeviation: 5 })
    const { quantized } = quantizer.quantize(z)
    const unit = tf.div(z, tf.norm(z, 2, 1, true))
    const errors = Array.from(await tf.norm(tf.sub(unit, quantized), 2, 1).data())
    const mean = errors.reduce((a, b) => a + b) / n
    expect(mean).toBeLessThan(Math.sqrt(2 - 2 / Math.sqrt(d)))
    expect(Math.max(...errors)).toBeLessThan(Math.SQRT2)
    const lengths = await tf.norm(quantized, 2, 1).data()
    lengths.forEach((length) => expect(length).toBeCloseTo(1, 5))
  })

  it('has more bits than an int32 has, in several indices on one sphere', async () => {
    const quantizer = bsq({ bits: 18, codebooks: 2, entropy: 'analytical' })
    const z = key(5).normal([4, 36])
    const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
    expect(indices.shape).toEqual([4, 2])
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    for (const x of await quantized.data()) expect(Math.abs(x)).toBeCloseTo(1 / 6, 6)
    expect(Number.isFinite((await loss.data())[0])).toBe(true)
  })
})
