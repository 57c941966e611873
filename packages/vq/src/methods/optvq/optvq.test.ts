import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkOptvq, planOf } from '../../golden/losses.ts'
import { type QuantizeOptions } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { optvq } from './optvq.ts'

describe.each(['cpu', 'wasm'] as const)('optvq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(optvq, {
    options: (k) => ({ dim: 4, codebookSize: 16, key: k }),
    badOptions: {
      dim: [0],
      codebookSize: [0],
      epsilon: [0, -1],
      iterations: [0],
      draw: ['yes'],
      loss: ['l2'],
      codebookWeight: [-1],
      losses: [{ own: 1 }],
    },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each(goldenCases('optvq'))('plans and differentiates as the reference: $id', checkOptvq)

  it('gives every vector mass 1, and every code nearly the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        async (seed, k, more) => {
          const [z, codes] = [key(seed).normal<tf.Rank.R2>([k * more, 3]), key(seed + 1).normal<tf.Rank.R2>([k, 3])]
          const plan = planOf(z, codes, null, { epsilon: 2, iterations: 60 })
          for (const mass of await tf.sum(plan, 1).data()) expect(mass).toBeCloseTo(1, 3)
          for (const mass of await tf.sum(plan, 0).data()) expect(mass / more).toBeCloseTo(1, 1)
          tf.dispose([z, codes, plan])
        },
      ),
      { numRuns: 10 },
    )
  })

  it('plans block by block as in one piece, and leaves masked vectors out', async () => {
    const [z, codes] = [key(1).normal<tf.Rank.R2>([9, 3]), key(2).normal<tf.Rank.R2>([4, 3])]
    for (const scale of ['spread', 'dimension', 'none'] as const) {
      const [whole, blocks] = [planOf(z, codes, null, { scale }), planOf(z, codes, null, { scale, cells: 8 })]
      const [a, b] = [await whole.data(), await blocks.data()]
      a.forEach((value, i) => expect(b[i]).toBeCloseTo(value, 4))
      const counts = tf.tensor1d([1, 1, 1, 1, 1, 1, 0, 0, 0])
      const wild = tf.concat([tf.slice(z, 0, 6), tf.mul(tf.slice(z, 6, 3), 30)]) as tf.Tensor2D
      const [masked, alone] = [
        planOf(wild, codes, counts, { scale }),
        planOf(tf.slice(z, 0, 6), codes, null, { scale }),
      ]
      const [c, d] = [await masked.data(), await alone.data()]
      d.forEach((value, i) => expect(c[i]).toBeCloseTo(value, 4))
      c.slice(24).forEach((value) => expect(value).toBe(0))
    }
  })

  it('uses codes that the nearest choice would leave out', async () => {
    const quantizer = optvq({ dim: 2, codebookSize: 16 })
    const z = key(3).normal([256, 2], { mean: 6 })
    const used = async (options?: QuantizeOptions): Promise<number> =>
      new Set(await quantizer.quantize(z, options).indices.data()).size
    expect(await used({ training: true, key: key(4) })).toBeGreaterThan(12)
    expect(await used()).toBeLessThan(8)
  })

  it('draws only with a key', () => {
    const quantizer = optvq({ dim: 2, codebookSize: 4 })
    expect(() => quantizer.quantize(tf.zeros([3, 2]), { training: true })).toThrow(/^key/)
  })
})
