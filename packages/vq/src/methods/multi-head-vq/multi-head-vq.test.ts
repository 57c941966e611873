import * as tf from '@tensorflow/tfjs-core'
import { type Key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkMultiHead } from '../../golden/structures.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { multiHeadVq, type MultiHeadVqOptions } from './multi-head-vq.ts'

const spread = (shape: [number, number], k: Key): tf.Tensor2D => k.normal(shape)
const small = { dim: 4, codebookSize: 6, heads: 2, init: spread }

describe.each(['cpu', 'wasm'] as const)('multi-head-vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, MultiHeadVqOptions][] = [
    ['one codebook', small],
    ['a codebook each', { ...small, separate: true, deadCodes: {} }],
    ['one codebook, free', { ...small, codes: 'free', kMeans: { iterations: 2 } }],
    ['one head', { ...small, heads: 1 }],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(multiHeadVq, {
      options: (k) => ({ ...options, key: k }),
      badOptions: { heads: [0, 3], dim: [0], codebookSize: [0], separate: ['yes'], codes: ['none'], metric: ['dot'] },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('multi-head'))('has the values and losses of the reference: $id', checkMultiHead)

  it('learns one codebook from all heads, or each from its own', async () => {
    // The heads' parts lie far apart.
    const z = tf.tensor2d([
      [5, 5, -5, -5],
      [5.1, 5, -5, -5.1],
    ])
    const sizesAfter = async (separate: boolean): Promise<string[]> => {
      const quantizer = multiHeadVq({ dim: 4, codebookSize: 2, heads: 2, separate, init: spread, decay: 0.5 })
      for (let step = 0; step < 30; step++) tf.dispose(quantizer.quantize(z, { training: true }))
      const { quantized } = quantizer.quantize(z)
      const [values, vectors] = [await quantized.data(), await z.data()]
      values.forEach((value, i) => expect(Math.abs(value - vectors[i]!)).toBeLessThan(0.2))
      return Object.keys(quantizer.state()).filter((name) => name.endsWith('clusterSize'))
    }
    expect(await sizesAfter(false)).toEqual(['head.codes.clusterSize'])
    expect(await sizesAfter(true)).toEqual(['groups.0.codes.clusterSize', 'groups.1.codes.clusterSize'])
  })

  it('refuses a sphere for free codes', () => {
    expect(() => multiHeadVq({ ...small, codes: 'free', metric: 'cosine' })).toThrow(/^metric/)
  })
})
