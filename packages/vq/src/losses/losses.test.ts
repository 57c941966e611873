import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, countLeaks, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { overRows } from '../assignment/rows.ts'
import { distanceScore } from '../assignment/scores.ts'
import { FreeCodebook } from '../codebooks/free.ts'
import { goldenCases } from '../golden/golden.ts'
import { vqEma } from '../methods/vq-ema/vq-ema.ts'
import { vq } from '../methods/vq/vq.ts'
import { cosine, euclidean } from '../metric.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import { crossEntropy, crossEntropyLoss } from './cross-entropy.ts'
import { diversityLoss, negativeEntropy } from './diversity.ts'
import { commitmentLoss } from './losses.ts'
import { orthogonality, orthogonalLoss } from './orthogonal.ts'

const exact = { abs: 0, rel: 0 }

describe.each(['cpu', 'wasm'] as const)('losses on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('orthogonal-loss'))('orthogonality has the values of the reference: $id', async (c) => {
    const E = tf.variable(goldenTensor(c.inputs['E']!)) as unknown as tf.Tensor2D & tf.Variable
    const { loss, gradients } = valueAndGradients({ E }, () => ({ loss: orthogonality(E) }))
    await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
    if (c.expected['grad_E']) await expectGolden('grad_E', gradients['E']!, c.expected['grad_E'], c.tolerance)
  })

  it.each(goldenCases('orthogonal-active'))('only the batch’s codes take part: $id', async (c) => {
    const E = goldenTensor(c.inputs['E']!)
    const weight = c.config['orthogonal_reg_weight'] as number
    const quantizer = new CodebookQuantizer({
      codebook: new FreeCodebook(E.shape[0]!, E.shape[1]!),
      losses: {
        commitment: commitmentLoss(c.config['commitment_weight'] as number),
        orthogonal: orthogonalLoss(weight, { activeOnly: true }),
      },
    })
    quantizer.load({ 'codes.weight': E })
    const { gradients, metrics } = valueAndGradients(quantizer.parameters(), () => {
      const { indices, loss, terms } = quantizer.quantize(goldenTensor(c.inputs['z']!), { training: true })
      return { loss, metrics: { indices, loss, orthogonal: tf.div(terms['orthogonal']!, weight) } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
    await expectGolden('orthogonal', metrics['orthogonal']!, c.expected['orthogonal_reg']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
  })

  it.each(goldenCases('diversity-loss'))('diversity has the values of the reference: $id', async (c) => {
    const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
    const directions = c.config['use_cosine_sim'] as boolean
    const metric = directions ? cosine : euclidean
    const quantizer = new CodebookQuantizer({
      codebook: new FreeCodebook(E.shape[0], E.shape[1], { metric }),
      metric,
      losses: {
        diversity: diversityLoss(1, {
          temperature: c.config['codebook_diversity_temperature'] as number,
          score: directions ? 'dot' : 'distance',
          average: 'batch',
        }),
      },
    })
    quantizer.load({ 'codes.weight': E })
    const z = tf.variable(goldenTensor(c.inputs['z']!))
    const { gradients, loss } = valueAndGradients({ z }, () => quantizer.quantize(z, { training: true }))
    await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
  })

  it('diversity does not depend on how vectors are arranged, unless asked to', async () => {
    const terms = async (shape: number[], average: 'all' | 'batch'): Promise<number> => {
      const losses = { diversity: diversityLoss(1, { temperature: 2, average }) }
      const quantizer = vq({ dim: 4, codebookSize: 8, init: (s, k) => k.normal(s), losses })
      const { terms: found } = quantizer.quantize(tf.reshape(key(1).normal([6, 4]), [...shape, 4]), { training: true })
      return (await found['diversity']!.data())[0]!
    }
    expect(await terms([1, 6], 'all')).toBeCloseTo(await terms([6, 1], 'all'), 6)
    expect(Math.abs((await terms([1, 6], 'batch')) - (await terms([6, 1], 'batch')))).toBeGreaterThan(0.05)
  })

  it('gradients are those of finite differences', async () => {
    const [z, codes] = [key(1).normal<tf.Rank.R2>([7, 3]), key(2).normal<tf.Rank.R2>([5, 3])]
    const given = tf.tensor1d([0, 3, -1, 2, 2, 4, -1], 'int32')
    const counts = tf.tensor1d([1, 1, 0, 1, 1, 0, 1])
    for (const score of ['distance', 'dot'] as const) {
      await checkGradients(({ x, e }) => crossEntropy(x, e, given, { score }), { x: z, e: codes })
      const options = { temperature: 2, score }
      await checkGradients(({ x, e }) => negativeEntropy(x, e, counts, options), { x: z, e: codes })
    }
    const taking = tf.tensor1d([1, 0, 1, 1, 0])
    await checkGradients(({ e }) => orthogonality(e), { e: codes })
    await checkGradients(({ e }) => orthogonality(e, taking), { e: codes })
  })

  it('cross-entropy counts given indices alone, and pulls vectors to them', async () => {
    const quantizer = vq({ dim: 2, codebookSize: 3 }) as CodebookQuantizer
    const codes = tf.tensor2d([0, 0, 3, 0, 0, 3], [3, 2])
    quantizer.load({ 'codes.weight': codes })
    const z = tf.variable(tf.tensor2d([0.5, 0, 0, 0.5], [2, 2]))
    const at = async (indices: number[]): Promise<number> =>
      (await quantizer.crossEntropy(z, tf.tensor1d(indices, 'int32')).data())[0]!
    const expected = (i: number, point: [number, number]): number => {
      const logits = [
        [0, 0],
        [3, 0],
        [0, 3],
      ].map(([a, b]) => -Math.hypot(point[0] - a!, point[1] - b!))
      return Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[i]!
    }
    expect(await at([1, -1])).toBeCloseTo(expected(1, [0.5, 0]), 5)
    expect(await at([1, 2])).toBeCloseTo((expected(1, [0.5, 0]) + expected(2, [0, 0.5])) / 2, 5)
    const { gradients } = valueAndGradients({ z }, () => ({
      loss: quantizer.crossEntropy(z, tf.tensor1d([1, -1], 'int32')),
    }))
    const gradient = await gradients['z']!.data()
    expect(gradient[0]).toBeLessThan(0)
    expect(Array.from(gradient.slice(2))).toEqual([0, 0])
    expect(() => quantizer.crossEntropy(z, tf.tensor1d([3, 0], 'int32'))).toThrow(/^indices/)
    expect(() => quantizer.crossEntropy(z, tf.tensor1d([0], 'int32'))).toThrow(/^indices/)
  })

  it('cross-entropy to the chosen codes leaves masked vectors out', async () => {
    const losses = { entropy: crossEntropyLoss(1) }
    const quantizer = vq({ dim: 3, codebookSize: 5, init: (s, k) => k.normal(s), losses })
    const z = key(4).normal<tf.Rank.R2>([4, 3])
    const masked = quantizer.quantize(z, { training: true, mask: tf.tensor1d([1, 1, 0, 0]) })
    const alone = quantizer.quantize(tf.slice(z, 0, 2), { training: true })
    const [a, b] = [await masked.terms['entropy']!.data(), await alone.terms['entropy']!.data()]
    expect(a[0]).toBeCloseTo(b[0]!, 5)
  })

  it('a random subset of codes is orthogonalised, no more than asked for and only active ones', async () => {
    const activeCodes = async (activeOnly: boolean): Promise<number> => {
      const losses = { orthogonal: orthogonalLoss(1, { activeOnly, maxCodes: 3 }) }
      const quantizer = vq({ dim: 4, codebookSize: 10, init: (s, k) => k.normal(s), commitment: 0, losses })
      const z = tf.slice(quantizer.codebook(), 0, 5)
      const terms = (): tf.Scalar => quantizer.quantize(z, { training: true, key: key(3) }).terms['orthogonal']!
      const { gradients } = valueAndGradients(quantizer.parameters(), () => ({ loss: terms() }))
      const moved = (await tf.norm(gradients['codes.weight']!, 2, 1).array()) as number[]
      if (activeOnly) expect(moved.slice(5)).toEqual([0, 0, 0, 0, 0])
      return moved.filter((length) => length > 0).length
    }
    expect(await activeCodes(true)).toBe(3)
    expect(await activeCodes(false)).toBe(3)
    const quantizer = vq({ dim: 4, codebookSize: 10, losses: { orthogonal: orthogonalLoss(1, { maxCodes: 3 }) } })
    expect(() => quantizer.quantize(tf.zeros([2, 4]), { training: true })).toThrow(/^key/)
  })

  it('orthogonality is refused where averaging would undo it', () => {
    const losses = { orthogonal: orthogonalLoss() }
    expect(() => vqEma({ dim: 4, codebookSize: 8, losses })).toThrow(/^losses\.orthogonal/)
  })

  it('blocks of rows give what the whole gives, and leave nothing behind', async () => {
    const [z, codes] = [key(5).normal<tf.Rank.R2>([23, 3]), key(6).normal<tf.Rank.R2>([7, 3])]
    const f = (rows: tf.Tensor2D, book: tf.Tensor2D): tf.Tensor => tf.softmax(distanceScore(rows, book))
    const results = (cells: number): tf.Tensor[] =>
      tf.tidy(() => {
        const grads = tf.grads((x, e) => {
          const soft = overRows(f, x as tf.Tensor2D, e as tf.Tensor2D, { cells })
          return tf.sum(tf.mul(soft, tf.reshape(tf.sin(tf.range(0, 161)), [23, 7])))
        })
        return [overRows(f, z, codes, { cells }), ...grads([z, codes])]
      })
    const [whole, blocks] = [results(2 ** 20), results(35)]
    for (const [i, x] of whole.entries()) {
      const [a, b] = [await x.data(), await blocks[i]!.data()]
      a.forEach((value, j) => expect(b[j]).toBeCloseTo(value, 5))
    }
    expect(await countLeaks(() => tf.dispose(results(35)))).toBe(0)
  })
})
