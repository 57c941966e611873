import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { none } from '../../positions/none/none.ts'
import { attentionConformance } from '../../testing/index.ts'
import { gqa } from '../gqa/gqa.ts'
import { gta } from './gta.ts'

describe.each(['cpu', 'wasm'] as const)('gta on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  describe.each([true, false])('bias: %s', (bias) => {
    const checks = attentionConformance(gta, {
      options: (k) => ({ dim: 8, heads: 4, groups: 2, headDim: 4, bias, key: k }),
      badOptions: { groups: [0, 3], headDim: [3, 0], bias: [1] },
      elementsPerToken: 2 * 4 + 2,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it('is the GQA whose keys are half the value and half a row that groups share', async () => {
    const tied = gta({ dim: 8, heads: 4, groups: 2, headDim: 4, positions: none(), key: key(1) })
    const free = gqa({ dim: 8, heads: 4, groups: 2, headDim: 4, key: key(2) })
    const state = tied.state()
    const [values, shared] = [state['projection.tied.weight']!, state['projection.shared.weight']!]
    const keys = [0, 4].flatMap((row) => [tf.slice(values, [row, 0], [2, -1]), shared])
    free.load({
      'projection.q.weight': state['projection.q.weight']!,
      'projection.k.weight': tf.concat(keys, 0),
      'projection.v.weight': values,
      'out.weight': state['out.weight']!,
    })
    const x = key(3).normal<tf.Rank.R3>([2, 5, 8])
    const wanted = free.forward(x).dataSync()
    tied.forward(x).dataSync().forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5)) // prettier-ignore
  })

  it('refuses widths without halves', () => {
    expect(() => gta({ dim: 9, heads: 3, groups: 1 })).toThrow(/^headDim: expected an even number, got 3/)
    expect(() => gta({ dim: 12, heads: 2, groups: 1 })).toThrow(/^dims: expected an even number, got 3/)
  })
})
