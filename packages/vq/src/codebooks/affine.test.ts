import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, expectGolden, expectSame, goldenTensor, type GoldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../golden/golden.ts'
import { commitmentLoss } from '../losses/losses.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import { AffineCodebook, RunningAffineCodebook } from './affine.ts'
import { EmaCodebook } from './ema.ts'
import { FreeCodebook } from './free.ts'
import { frozen } from './frozen.ts'
import { InPlaceCodebook } from './in-place.ts'

const exact = { abs: 0, rel: 0 }
type Step = Record<string, GoldenTensor> & { readonly loss: number }

describe.each(['cpu', 'wasm'] as const)('codebooks on codebooks on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('affine-param'))('running statistics move codes as the reference: $id', async (c) => {
    const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
    const inner = new EmaCodebook(E.shape[0], E.shape[1], {
      decay: c.config['decay'] as number,
      init: () => goldenTensor(c.inputs['E']!),
    })
    const codebook = new RunningAffineCodebook(inner, {
      batchDecay: c.config['affine_param_batch_decay'] as number,
      codebookDecay: c.config['affine_param_codebook_decay'] as number,
    })
    const quantizer = new CodebookQuantizer({ codebook, losses: { commitment: commitmentLoss(1) } })
    for (const [i, step] of (c.expected['steps'] as unknown as Step[]).entries()) {
      const z = goldenTensor(c.inputs[`z${i}`]!)
      const { indices, quantized, loss } = quantizer.quantize(z, { training: true })
      const state = quantizer.state()
      await expectGolden('indices', indices, step['indices']!, exact)
      await expectGolden('quantized', quantized, step['quantized']!, c.tolerance)
      await expectGolden('loss', loss, step.loss, c.tolerance)
      await expectGolden('batch mean', state['codes.batchMean']!, step['batch_mean']!, c.tolerance)
      await expectGolden('batch variance', state['codes.batchVariance']!, step['batch_variance']!, c.tolerance)
      await expectGolden('codebook mean', state['codes.codebookMean']!, step['codebook_mean']!, c.tolerance)
      await expectGolden('codebook variance', state['codes.codebookVariance']!, step['codebook_variance']!, c.tolerance)
      await expectGolden('codes under the map', state['codes.inner.weight']!, step['embed']!, c.tolerance)
      await expectGolden('cluster size', state['codes.inner.clusterSize']!, step['cluster_size']!, c.tolerance)
    }
  })

  it('running statistics are left alone outside training, and are sound before it', async () => {
    const codebook = new RunningAffineCodebook(new FreeCodebook(5, 3, { init: (s, k) => k.normal(s) }))
    const quantizer = new CodebookQuantizer({ codebook, losses: {} })
    const [before, inner] = [await quantizer.codebook().data(), await codebook.inner.codes().data()]
    expect(before).toEqual(inner)
    const copy = (): Record<string, tf.Tensor> =>
      Object.fromEntries(Object.entries(quantizer.state()).map(([name, x]) => [name, tf.clone(x)]))
    const z = key(1).normal([20, 3], { mean: 4, standardDeviation: 3 })
    const fresh = copy()
    tf.dispose(quantizer.quantize(z))
    await expectSame('state before training', quantizer.state(), fresh)
    tf.dispose(quantizer.quantize(z, { training: true }))
    const trained = copy()
    tf.dispose(quantizer.quantize(tf.mul(z, 9)))
    await expectSame('state after training', quantizer.state(), trained)
    // The codes are where the vectors are.
    const mean = await tf.mean(quantizer.codebook(), 0).data()
    const wanted = await tf.mean(z, 0).data()
    mean.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 3))
  })

  it('codes put somewhere through a map end up there', async () => {
    const makers = [
      () => new AffineCodebook(new FreeCodebook(4, 2), { rate: 0.5 }),
      () => new RunningAffineCodebook(new FreeCodebook(4, 2)),
      () => new RunningAffineCodebook(new EmaCodebook(4, 2)),
      () => new InPlaceCodebook(new AffineCodebook(new FreeCodebook(4, 2))),
    ]
    for (const make of makers) {
      const codebook = make()
      const affine = codebook instanceof InPlaceCodebook ? (codebook.inner as AffineCodebook) : codebook
      if (affine instanceof AffineCodebook) affine.shift.assign(tf.tensor1d([3, -1]))
      else affine.observe(key(2).normal([30, 2], { mean: 5 }), null)
      const rows = key(3).normal<tf.Rank.R2>([4, 2])
      const near = async (codes: tf.Tensor, wanted: tf.Tensor): Promise<void> => {
        const [a, b] = [await codes.data(), await wanted.data()]
        a.forEach((value, i) => expect(value).toBeCloseTo(b[i]!, 2))
      }
      codebook.place!(rows, tf.tensor1d([9, 9, 9, 9]))
      await near(codebook.codes(), rows)
      const other = tf.add(rows, 1) as tf.Tensor2D
      codebook.replace!(tf.tensor1d([0, 1, 0, 1]), other, 1)
      await near(tf.gather(codebook.codes(), [1, 3]), tf.gather(other, [1, 3]))
      await near(tf.gather(codebook.codes(), [0, 2]), tf.gather(rows, [0, 2]))
    }
  })

  it('a trained map is (1 + rate p) e + rate b, with its gradients', async () => {
    const codebook = new AffineCodebook(new FreeCodebook(3, 2, { init: (s, k) => k.normal(s) }), { rate: 0.5 })
    codebook.scale.assign(tf.tensor1d([2, -1]))
    codebook.shift.assign(tf.tensor1d([4, 6]))
    const [codes, inner] = [await codebook.codes().data(), await codebook.inner.codes().data()]
    codes.forEach((value, i) => expect(value).toBeCloseTo(inner[i]! * [2, 0.5][i % 2]! + [2, 3][i % 2]!, 5))
    const { scale, shift } = codebook
    await checkGradients(() => codebook.codes(), { scale, shift, e: (codebook.inner as FreeCodebook).weight })
    expect(() => new AffineCodebook(new FreeCodebook(3, 2), { rate: 0 })).toThrow(/^rate/)
    expect(() => new RunningAffineCodebook(new FreeCodebook(3, 2), { batchDecay: 1 })).toThrow(/^batchDecay/)
  })

  it('a codebook optimised in place takes steps of its own, and is no parameter', async () => {
    const inner = new FreeCodebook(2, 1, { init: () => tf.tensor2d([[0], [10]]) })
    const codebook = new InPlaceCodebook(inner, { learningRate: 0.5, steps: 2 })
    const quantizer = new CodebookQuantizer({ codebook, losses: {} })
    expect(quantizer.parameters()).toEqual({})
    expect(Object.keys(quantizer.state())).toEqual(['codes.inner.weight'])
    const z = tf.tensor2d([[1], [3], [9], [100]])
    const { quantized } = quantizer.quantize(z, { training: true, mask: tf.tensor1d([1, 1, 1, 0]) })
    // Quantized with the codes as they were.
    expect(Array.from(await quantized.data())).toEqual([0, 0, 10, 0])
    const descend = (code: number, vectors: number[]): number => {
      for (let step = 0; step < 2; step++) code -= 0.5 * vectors.reduce((sum, x) => sum + (2 / 3) * (code - x), 0)
      return code
    }
    const codes = await quantizer.codebook().data()
    expect(codes[0]).toBeCloseTo(descend(0, [1, 3]), 5)
    expect(codes[1]).toBeCloseTo(descend(10, [9]), 5)
    expect(() => new InPlaceCodebook(new EmaCodebook(2, 1))).toThrow(/^inner/)
    expect(() => new InPlaceCodebook(inner, { steps: 0 })).toThrow(/^steps/)
    expect(() => new InPlaceCodebook(inner, { learningRate: 0 })).toThrow(/^learningRate/)
  })

  it('frozen codes stay, keep their names, and are no parameters', async () => {
    const z = key(4).normal([16, 3])
    for (const inner of [new FreeCodebook(4, 3), new EmaCodebook(4, 3)]) {
      const quantizer = new CodebookQuantizer({ codebook: frozen(inner), losses: { commitment: commitmentLoss() } })
      const before = await quantizer.codebook().data()
      tf.dispose(quantizer.quantize(z, { training: true }))
      expect(await quantizer.codebook().data()).toEqual(before)
      expect(quantizer.parameters()).toEqual({})
      expect(Object.keys(quantizer.state())).toContain('codes.weight')
    }
  })
})
