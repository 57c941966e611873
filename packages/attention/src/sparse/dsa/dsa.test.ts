import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, train, useBackend, valueAndGradients } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { mla } from '../../projections/mla/mla.ts'
import { attentionConformance } from '../../testing/attention-conformance.ts'
import { highest } from '../highest.ts'
import { dsa, type DsaOptions } from './dsa.ts'
import { indexerScores } from './indexer.ts'

const small: DsaOptions = { dim: 8, heads: 2, kvRank: 6, nopeDim: 4, ropeDim: 2, queryRank: 5, indexHeads: 3, indexDim: 4 } // prettier-ignore

describe.each(['cpu', 'wasm'] as const)('dsa on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('chooses the highest of each row', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: -99, max: 99 }), { minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 10 }), async (row, count) => {
        const x = tf.tensor4d(row, [1, 1, 1, row.length])
        const chosen = tf.tidy(() => highest(x, count))
        const border = [...row].sort((a, b) => b - a).slice(0, count).at(-1)! // prettier-ignore
        expect(Array.from(await chosen.data())).toEqual(row.map((value) => Number(value >= border)))
        tf.dispose([x, chosen])
      }), // prettier-ignore
    )
  })

  it('attends as MLA does where all tokens are chosen, and to the chosen ones otherwise', async () => {
    const x = key(3).normal<tf.Rank.R3>([2, 9, 8])
    const all = dsa({ ...small, topK: 9, key: key(2) })
    const plain = mla({ dim: 8, heads: 2, kvRank: 6, nopeDim: 4, ropeDim: 2, queryRank: 5 })
    const state = all.state()
    plain.load(Object.fromEntries(Object.keys(plain.state()).map((name) => [name, state[name]!])))
    const [y, z] = [all.forward(x), plain.forward(x)]
    const same = await tf.max(tf.abs(tf.sub(y, z))).data()
    expect(same[0]).toBeLessThan(1e-6)
    const few = dsa({ ...small, topK: 3, key: key(2) })
    const sparse = few.forward(x)
    // The first three tokens have no more than three to see.
    const rows = tf.slice(sparse, [0, 0, 0], [-1, 3, -1])
    const full = tf.slice(z, [0, 0, 0], [-1, 3, -1])
    expect((await tf.max(tf.abs(tf.sub(rows, full))).data())[0]).toBeLessThan(1e-6)
    expect((await tf.max(tf.abs(tf.sub(sparse, z))).data())[0]).toBeGreaterThan(1e-3)
    tf.dispose([x, y, z, sparse, rows, full])
    for (const attention of [all, plain, few]) attention.dispose()
  })

  it('trains its indexer towards what attention sees, and nothing else', async () => {
    const attention = dsa({ ...small, topK: 3, key: key(4) })
    const x = key(5).normal<tf.Rank.R3>([2, 8, 8])
    for (const over of ['dense', 'sparse'] as const) {
      const { loss, gradients } = valueAndGradients(attention.parameters(), () => ({ loss: attention.indexerLoss(x, { over }) })) // prettier-ignore
      expect((await loss.data())[0]).toBeGreaterThan(0)
      for (const [name, gradient] of Object.entries(gradients)) {
        const most = (await tf.max(tf.abs(gradient)).data())[0]!
        if (name.startsWith('indexer.')) expect(most, name).toBeGreaterThan(0)
        else expect(most, name).toBe(0)
      }
      tf.dispose([loss, gradients])
    }
    const first = (await attention.indexerLoss(x).data())[0]!
    const { last } = await train(attention, {
      data: () => x.clone(),
      loss: (batch) => attention.indexerLoss(batch as tf.Tensor3D),
      optimizer: new AdamW({ learningRate: 0.02, weightDecay: 0 }),
      steps: 60,
      progress: 'silent',
    })
    expect(last!.loss).toBeLessThan(first / 3)
    expect(await countLeaks(() => attention.indexerLoss(x).dispose())).toBe(0)
    x.dispose()
    attention.dispose()
  })

  it('has the divergence of the definition', async () => {
    const attention = dsa({ ...small, topK: 100, key: key(6) })
    const same = dsa({ ...small, topK: 100, key: key(6) })
    const x = key(7).normal<tf.Rank.R3>([1, 5, 8])
    const [dense, sparse] = [attention.indexerLoss(x), same.indexerLoss(x, { over: 'sparse' })]
    // With room for all tokens both stages are one.
    expect((await dense.data())[0]).toBeCloseTo((await sparse.data())[0]!, 6)
    // A sequence of one token leaves nothing to choose.
    const one = tf.slice(x, [0, 0, 0], [1, 1, 8])
    expect((await attention.indexerLoss(one).data())[0]).toBeCloseTo(0, 6)
    expect(() => attention.indexerLoss(tf.zeros([1, 5, 7]))).toThrow(/^x/)
  })

  it('refuses shapes of scores that do not fit', () => {
    const [q, k, w] = [tf.zeros([1, 2, 3, 4]) as tf.Tensor4D, tf.zeros([1, 5, 4]) as tf.Tensor3D, tf.zeros([1, 2, 3]) as tf.Tensor3D] // prettier-ignore
    expect(() => indexerScores(q, tf.zeros([1, 5, 3]), w)).toThrow(/^k/)
    expect(() => indexerScores(q, k, tf.zeros([1, 2, 2]))).toThrow(/^w/)
    expect(() => dsa({ ...small, indexDim: 1 })).toThrow(/^indexDim/)
  })

  it.each(
    attentionConformance(dsa, {
      options: (key) => ({ ...small, topK: 3, key }),
      badOptions: { dim: [0], heads: [0], kvRank: [0], topK: [0], indexHeads: [0], indexDim: [0], key: [1] },
      elementsPerToken: 8 + 4,
    }).filter(({ name }) => !/gradients|mask and a bias/.test(name)),
  )('$name', ({ run }) => run())

  // Under a mask other tokens are chosen than without it; where all are, nothing is left to choose.
  it.each(
    attentionConformance(dsa, {
      options: (key) => ({ ...small, topK: 100, key }),
      badOptions: {},
      elementsPerToken: 8 + 4,
    }).filter(({ name }) => /mask and a bias/.test(name)),
  )('$name', ({ run }) => run())
})
