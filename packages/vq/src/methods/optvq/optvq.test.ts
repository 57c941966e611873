import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { sinkhorn, type SinkhornOptions, transported } from '../../assignment/transported.ts'
import { FreeCodebook } from '../../codebooks/free.ts'
import { type GoldenCase, goldenCases } from '../../golden/golden.ts'
import { crossEntropyLoss } from '../../losses/cross-entropy.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { CodebookQuantizer, type QuantizeOptions } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { optvq } from './optvq.ts'

const exact = { abs: 0, rel: 0 }

const planOptions = (c: GoldenCase): SinkhornOptions => ({
  epsilon: c.config['epsilon'] as number,
  iterations: c.config['n_iters'] as number,
  scale: c.config['normalize_mode'] === 'dim' ? 'dimension' : 'spread',
})

/** The plan itself, `[N, K]`. */
function planOf(z: tf.Tensor2D, codes: tf.Tensor2D, counts: tf.Tensor1D | null, options: SinkhornOptions): tf.Tensor2D {
  const { codeWeights, rowWeights, cost } = sinkhorn(z, codes, counts, options)
  const kernel = tf.exp(tf.mul(-(options.epsilon ?? 10), cost(z)))
  return tf.mul(tf.mul(kernel, codeWeights), tf.expandDims(rowWeights, 1))
}

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

  it.each(goldenCases('optvq'))('plans and differentiates as the reference: $id', async (c) => {
    const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
    const z = goldenTensor(c.inputs['z']!)
    const rows = tf.reshape<tf.Rank.R2>(z, [-1, E.shape[1]])
    const { cost } = sinkhorn(rows, E, null, planOptions(c))
    await expectGolden('cost', cost(rows), c.expected['cost_normalized']!, c.tolerance)
    await expectGolden('plan', planOf(rows, E, null, planOptions(c)), c.expected['Q']!, c.tolerance)
    const quantizer = new CodebookQuantizer({
      codebook: new FreeCodebook(E.shape[0], E.shape[1]),
      assign: transported({ ...planOptions(c), draw: c.config['use_prob'] as boolean }),
      losses:
        c.config['loss_q_type'] === 'ce'
          ? { entropy: crossEntropyLoss() }
          : // Beta is on the codebook's term there.
            { commitment: commitmentLoss(1), codebook: codebookLoss(c.config['beta'] as number) },
    })
    quantizer.load({ 'codes.weight': E })
    const [variable, g] = [tf.variable(z), goldenTensor(c.inputs['g']!)]
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
    await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
  })

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
