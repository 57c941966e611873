import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { attentionConformance } from '../../testing/index.ts'
import { mla } from '../mla/mla.ts'
import { gla } from './gla.ts'

const small = { dim: 8, heads: 4, kvRank: 6, nopeDim: 4, ropeDim: 2, valueDim: 3 }

describe.each(['cpu', 'wasm'] as const)('gla on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  describe.each(['expanded', 'absorbed'] as const)('%s', (path) => {
    const checks = attentionConformance(gla, {
      options: (k) => ({ ...small, queryRank: path === 'expanded' ? 0 : 5, path, key: k }),
      badOptions: { groups: [0, 3, 8], kvRank: [7], heads: [5] },
      elementsPerToken: 6 + 2,
    })
    const named = checks.filter(({ name }) => !name.endsWith('refuses bad options by name'))
    it.each(named)('$name', ({ run }) => run())
  })

  it('is MLA with one group', async () => {
    const x = key(1).normal<tf.Rank.R3>([2, 5, 8])
    const options = { ...small, key: key(2) }
    expect(
      await gla({ ...options, groups: 1 })
        .forward(x)
        .data(),
    ).toEqual(await mla(options).forward(x).data())
  })

  it('gives each group of heads its own latent: a change of one does not reach the other heads', async () => {
    const attention = gla({ ...small, groups: 2, latentNorm: false, key: key(2) })
    const x = key(1).normal<tf.Rank.R3>([1, 5, 8])
    const state = attention.state()
    // Latents of group 1 are rows 3 to 5; what heads 0 and 1 give out lies in the first columns of the last weights.
    const rows = tf.reshape(tf.tensor1d([1, 1, 1, 0, 0, 0, 1, 1]), [8, 1])
    const first = tf.reshape(tf.tensor1d([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]), [1, 12])
    attention.load({ ...state, 'out.weight': tf.mul(state['out.weight']!, first) })
    const before = await attention.forward(x).data()
    attention.load({ ...attention.state(), 'projection.kvDown.weight': tf.mul(state['projection.kvDown.weight']!, rows) }) // prettier-ignore
    expect(await attention.forward(x).data()).toEqual(before)
  })

  it('refuses groups that do not divide', () => {
    expect(() => gla({ ...small, groups: 3 })).toThrow(/^groups: expected a divisor of heads 4, got 3/)
    expect(() => gla({ ...small, groups: 4 })).toThrow(/^groups: expected a divisor of kvRank 6, got 4/)
  })
})
