import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from './golden/golden.ts'
import { checkMetrics } from './golden/losses.ts'
import { fsq } from './methods/fsq/fsq.ts'
import { measureQuantizer, QuantizationMeter } from './metrics.ts'

describe.each(['cpu', 'wasm'] as const)('metrics on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('metrics'))('counts as the definitions say: $id', checkMetrics)

  it('keeps codebooks apart', async () => {
    const quantizer = fsq({ levels: [5], codebooks: 2 })
    const z = tf.tensor2d([
      [-9, 0],
      [9, 0],
      [0, 0],
    ])
    const { codebooks, usage } = await measureQuantizer(quantizer, [z])
    expect(codebooks.map((codebook) => codebook.usage)).toEqual([3 / 5, 1 / 5])
    expect(codebooks[1]!.perplexity).toBe(1)
    expect(usage).toBeCloseTo(0.4)
    z.dispose()
  })

  it('passes masked vectors over', async () => {
    const quantizer = fsq({ levels: [5, 5] })
    const z = key(1).normal([4, 2])
    const mask = tf.tensor1d([1, 0, 1, 0])
    const { quantized, indices } = quantizer.quantize(z, { mask })
    const meter = new QuantizationMeter(quantizer)
    await meter.add(z, quantized, indices)
    expect(meter.statistics().vectors).toBe(2)
  })

  it('leaves no tensor behind, and refuses to speak of nothing', async () => {
    const quantizer = fsq({ levels: [5, 5] })
    const z = key(1).normal([4, 2])
    const before = tf.memory().numTensors
    await measureQuantizer(quantizer, [z])
    expect(tf.memory().numTensors).toBe(before)
    expect(() => new QuantizationMeter(quantizer).statistics()).toThrow(/^vectors/)
  })
})
