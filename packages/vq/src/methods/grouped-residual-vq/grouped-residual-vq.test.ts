import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkGroupedResidualVq } from '../../golden/structures.ts'
import { measureQuantizer } from '../../metrics.ts'
import { GroupedQuantizer } from '../../structures/grouped.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { fsq } from '../fsq/fsq.ts'
import { lfq } from '../lfq/lfq.ts'
import { groupedResidualVq, type GroupedResidualVqOptions } from './grouped-residual-vq.ts'

const spread = (shape: [number, number], k: Key): tf.Tensor2D => k.normal(shape)

describe.each(['cpu', 'wasm'] as const)('grouped-residual-vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, GroupedResidualVqOptions][] = [
    ['two groups of two layers', { dim: 4, groups: 2, layers: 2, codebookSize: 6, init: spread }],
    ['product quantization', { dim: 6, groups: 3, layers: 1, codebookSize: 5, init: spread, codes: 'free' }],
    [
      'shared within groups',
      { dim: 4, groups: 2, layers: 3, codebookSize: 6, init: spread, shared: true, dropout: {} },
    ],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(groupedResidualVq, {
      options: (k) => ({ ...options, key: k }),
      badOptions: { groups: [0, 5, 1.5], layers: [0], dim: [0], codebookSize: [0], shared: ['yes'] },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('grouped-residual-vq'))('has the values and losses of the reference: $id', checkGroupedResidualVq)

  it('leaves out the same layers in every group', async () => {
    const quantizer = groupedResidualVq({ dim: 4, groups: 2, layers: 4, codebookSize: 6, init: spread, dropout: {} })
    const z = key(1).normal([3, 4])
    const depths = new Set<string>()
    for (let step = 0; step < 20; step++) {
      const { indices } = quantizer.quantize(z, { training: true, key: key(step) })
      const used = ((await indices.array()) as number[][])[0]!.map((index) => (index >= 0 ? 1 : 0))
      expect(used.slice(0, 4)).toEqual(used.slice(4))
      depths.add(used.join(''))
    }
    expect(depths.size).toBeGreaterThan(1)
  })

  it('takes groups of any kind and width, and counts each codebook by itself', async () => {
    const quantizer = new GroupedQuantizer([fsq({ levels: [5, 5] }), lfq({ bits: 3, codebooks: 2 })])
    expect([quantizer.dim, quantizer.codebooks, quantizer.codebookSize]).toEqual([8, 3, 25])
    const z = tf.variable(key(2).normal([50, 8]))
    const { gradients, metrics } = valueAndGradients({ z }, () => {
      const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
      return { loss: tf.add(tf.sum(quantized), loss), metrics: { quantized, indices } }
    })
    expect((await gradients['z']!.data()).every((value) => value !== 0)).toBe(true)
    expect(await quantizer.decode(metrics['indices']!).data()).toEqual(await metrics['quantized']!.data())
    const { codebooks } = await measureQuantizer(quantizer, [z])
    expect(codebooks.map(({ counts }) => counts.reduce((a, b) => a + b))).toEqual([50, 50, 50])
    expect(() => quantizer.codebook()).toThrow(/^codebook/)
    expect(() => quantizer.decode(tf.zeros([2, 2], 'int32'))).toThrow(/^indices/)
    expect(() => new GroupedQuantizer([])).toThrow(/^groups/)
  })
})
