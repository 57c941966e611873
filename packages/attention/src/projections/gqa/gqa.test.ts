import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { rope } from '../../positions/rope/rope.ts'
import { attentionConformance } from '../../testing/index.ts'
import { mha } from '../mha/mha.ts'
import { gqa } from './gqa.ts'

describe.each(['cpu', 'wasm'] as const)('gqa on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = attentionConformance(gqa, {
    options: (k) => ({ dim: 8, heads: 6, groups: 3, headDim: 4, positions: rope(), sinks: 'learned' as const, key: k }),
    badOptions: { groups: [0, 4, 7], heads: [0] },
    elementsPerToken: 2 * 3 * 4,
  })
  it.each(checks)('$name', ({ run }) => run())

  it('is MHA whose keys and values are repeated head by head, not as a row of heads', async () => {
    const grouped = gqa({ dim: 8, heads: 4, groups: 2, headDim: 3, key: key(1) })
    const each = mha({ dim: 8, heads: 4, headDim: 3, key: key(1) })
    const state = grouped.state()
    const repeated = (order: number[]): Record<string, tf.Tensor> =>
      Object.fromEntries(
        Object.entries(state).map(([name, tensor]) => {
          if (!/\.[kv]\./.test(name)) return [name, tensor]
          const heads = tf.reshape(tensor, [2, 3, 8])
          return [name, tf.reshape(tf.gather(heads, order), [12, 8])]
        }),
      )
    const x = key(2).normal<tf.Rank.R3>([2, 5, 8])
    const y = grouped.forward(x).dataSync()
    each.load(repeated([0, 0, 1, 1]))
    each.forward(x).dataSync().forEach((value, i) => expect(value).toBeCloseTo(y[i]!, 5)) // prettier-ignore
    each.load(repeated([0, 1, 0, 1]))
    expect(each.forward(x).dataSync().some((value, i) => Math.abs(value - y[i]!) > 1e-2)).toBe(true) // prettier-ignore
  })
})
