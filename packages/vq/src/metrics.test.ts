import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { expectGolden, goldenTensor, goldenValues } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from './golden/golden.ts'
import { fsq } from './methods/fsq/fsq.ts'
import { vq } from './methods/vq/vq.ts'
import { measureQuantizer, QuantizationMeter } from './metrics.ts'

describe.each(['cpu', 'wasm'] as const)('metrics on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('metrics'))('counts as the definitions say: $id', async (c) => {
    const [z, E] = [goldenTensor<tf.Rank.R2>(c.inputs['z']!), goldenTensor<tf.Rank.R2>(c.inputs['E']!)]
    const quantizer = vq({ dim: E.shape[1], codebookSize: E.shape[0] })
    quantizer.load({ 'codes.weight': E })
    const { indices } = quantizer.quantize(z)
    await expectGolden('indices', indices, c.expected['indices']!, { abs: 0, rel: 0 })
    // In uneven batches: what is counted must not depend on how the data comes.
    const found = await measureQuantizer(quantizer, [tf.slice(z, 0, 7), tf.slice(z, 7)])
    expect(Array.from(found.codebooks[0]!.counts)).toEqual(Array.from(goldenValues(c.expected['counts']!)))
    await expectGolden('usage', found.usage, c.expected['usage']!, c.tolerance)
    await expectGolden('perplexity', found.perplexity, c.expected['perplexity']!, c.tolerance)
    await expectGolden('error', found.quantizationError, c.expected['quantization_error_sum_dims']!, c.tolerance)
    await expectGolden('mse', found.meanSquaredError, c.expected['quantization_error_mse']!, c.tolerance)
    await expectGolden('relative error', found.relativeError, c.expected['relative_error']!, c.tolerance)
    expect(found.vectors).toBe(z.shape[0])
  })

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
