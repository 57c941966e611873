import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { forwardPacked, gqa, mla, rope } from './index.ts'

describe.each(['cpu', 'wasm'] as const)('packed documents on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each([
    ['gqa', () => gqa({ dim: 8, heads: 4, groups: 2, positions: rope(), key: key(1) })],
    ['mla', () => mla({ dim: 8, heads: 2, kvRank: 4, nopeDim: 4, ropeDim: 2, key: key(2) })],
  ] as const)('%s sees each by itself, as under a mask of documents', async (_, make) => {
    const attention = make()
    const x = key(3).normal<tf.Rank.R3>([2, 6, 8])
    const before = tf.memory().numTensors
    for (const lengths of [
      [2, 4],
      [
        [1, 5],
        [3, 3],
      ],
    ]) {
      const y = forwardPacked(attention, x, lengths)
      const rows = (typeof lengths[0] === 'number' ? [lengths, lengths] : lengths) as number[][]
      const documents = rows.map((row) => row.flatMap((count, i) => Array.from({ length: count }, () => i)))
      const mask = tf.tensor3d(documents.map((row) => row.map((a) => row.map((b) => Number(a === b)))))
      const positions = rows.map((row) => row.flatMap((count) => Array.from({ length: count }, (_, i) => i)))
      const wanted = attention.forward(x, { mask, positions })
      const error = tf.tidy(() => tf.max(tf.abs(tf.sub(y, wanted))))
      expect((await error.data())[0]).toBeLessThan(1e-5)
      tf.dispose([y, mask, wanted, error])
    }
    expect(tf.memory().numTensors).toBe(before)
    for (const wrong of [[2, 3], [0, 6], [[6]], [[6], [5]]])
      expect(() => forwardPacked(attention, x, wrong)).toThrow(/^lengths: expected/)
    x.dispose()
    attention.dispose()
  })
})
