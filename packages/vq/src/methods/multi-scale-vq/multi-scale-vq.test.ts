import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkHierarchical } from '../../golden/structures.ts'
import { measureQuantizer } from '../../metrics.ts'
import { MultiScaleQuantizer } from '../../structures/multi-scale.ts'
import { averaging, interpolating, resample } from '../../structures/resample.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { lfq } from '../lfq/lfq.ts'
import { multiScaleVq, type MultiScaleVqOptions } from './multi-scale-vq.ts'

const spread = (shape: [number, number], k: Key): tf.Tensor2D => k.normal(shape)
const small = { dim: 3, codebookSize: 8, scales: [1, 2, 4], init: spread }

describe.each(['cpu', 'wasm'] as const)('multi-scale-vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, MultiScaleVqOptions, [number, number]][] = [
    ['three scales', small, [4, 4]],
    ['another size, two convolutions, k-means', { ...small, size: [5, 3], convolutions: 2, kMeans: {} }, [5, 3]],
    ['no convolution, free codes', { ...small, smoothing: 0, codes: 'free', scales: [1, 3] }, [3, 3]],
  ]
  describe.each(examples)('%s', (_, options, item) => {
    const checks = quantizerConformance(multiScaleVq, {
      options: (k) => ({ ...options, key: k }),
      item,
      indicesPerItem: options.scales.reduce((sum, side) => sum + side ** 2, 0),
      fixedCodes: false,
      badOptions: {
        dim: [0],
        codebookSize: [0],
        scales: [[], [0], [2, 1], [1, 1], 4],
        size: [[4], [0, 4], 'large'],
        smoothing: [-1, 2],
        convolutions: [0],
      },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('hierarchical'))('has the values and losses of the reference: $id', checkHierarchical)

  it('decodes at the size of the input, whatever the last scale', async () => {
    const quantizer = multiScaleVq({ ...small, scales: [1, 2, 3], size: [6, 5] })
    const z = key(1).normal([2, 6, 5, 3])
    const { quantized, indices } = quantizer.quantize(z)
    const decoded = quantizer.decode(indices)
    expect(decoded.shape).toEqual([2, 6, 5, 3])
    expect(await decoded.data()).toEqual(await quantized.data())
    expect(() => quantizer.quantize(key(1).normal([2, 3, 3, 3]))).toThrow(/^z/)
    expect(() => quantizer.decode(tf.zeros([2, 13], 'int32'))).toThrow(/^indices/)
  })

  it('averages and interpolates as adaptive pooling and bilinear enlargement do', async () => {
    expect(averaging(5, 2)).toEqual([
      [1 / 3, 1 / 3, 1 / 3, 0, 0],
      [0, 0, 1 / 3, 1 / 3, 1 / 3],
    ])
    expect(interpolating(2, 4)).toEqual([
      [1, 0],
      [0.75, 0.25],
      [0.25, 0.75],
      [0, 1],
    ])
    expect([averaging(3, 3), interpolating(3, 3)]).toEqual([null, null])
    const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1])
    expect((await resample(x, averaging(2, 1), averaging(2, 1)).data())[0]).toBe(2.5)
    // A constant stays what it is.
    const flat = await resample(tf.fill([1, 5, 3, 2], 7), averaging(5, 2), interpolating(3, 7)).data()
    flat.forEach((value) => expect(value).toBeCloseTo(7, 5))
  })

  it('passes the gradient to the input once, and to the convolution', async () => {
    const quantizer = multiScaleVq(small)
    const z = tf.variable(key(2).normal([1, 4, 4, 3]))
    const { gradients } = valueAndGradients({ z, ...quantizer.parameters() }, () => ({
      loss: tf.sum(quantizer.quantize(z).quantized),
    }))
    expect(await gradients['z']!.data()).toEqual(new Float32Array(48).fill(1))
    for (const name of ['smooth.0.weight', 'smooth.0.bias'])
      expect((await gradients[name]!.data()).some((value) => value !== 0)).toBe(true)
  })

  it('comes nearer with every scale once codes are placed, and counts its codes', async () => {
    const z = key(3).normal([16, 4, 4, 3])
    const error = async (scales: number[]): Promise<number> => {
      const quantizer = multiScaleVq({ ...small, codebookSize: 64, scales, size: [4, 4], smoothing: 0, kMeans: {} })
      for (let step = 0; step < 5; step++) tf.dispose(quantizer.quantize(z, { training: true, key: key(step) }))
      const statistics = await measureQuantizer(quantizer, [z])
      expect(statistics.vectors).toBe(256)
      const tokens = scales.reduce((sum, side) => sum + side ** 2, 0)
      expect(statistics.codebooks[0]!.counts.reduce((a, b) => a + b)).toBe(16 * tokens)
      return statistics.quantizationError
    }
    const [one, two, four] = [await error([1]), await error([1, 2]), await error([1, 2, 4])]
    expect(two).toBeLessThan(one)
    expect(four).toBeLessThan(two)
  })

  it('learns once a step, from all scales, by the codes as they were', async () => {
    const quantizer = multiScaleVq({ ...small, decay: 0.5 })
    const before = await quantizer.codebook().data()
    const z = key(4).normal([2, 4, 4, 3])
    const { quantized } = quantizer.quantize(z, { training: true })
    expect(await quantizer.codebook().data()).not.toEqual(before)
    const fresh = multiScaleVq({ ...small, decay: 0.5 })
    expect(await fresh.quantize(z).quantized.data()).toEqual(await quantized.data())
  })

  it('takes any quantizer of one codebook', async () => {
    const quantizer = new MultiScaleQuantizer(lfq({ bits: 3 }), { scales: [1, 2], key: key(5) })
    const { quantized, indices } = quantizer.quantize(key(6).normal([2, 2, 3]))
    expect(indices.shape).toEqual([5])
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    const several = lfq({ bits: 3, codebooks: 2 })
    expect(() => new MultiScaleQuantizer(several, { scales: [1], key: key(5) })).toThrow(/^inner/)
  })
})
