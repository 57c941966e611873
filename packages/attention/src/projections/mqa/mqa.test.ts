import type * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { rope } from '../../positions/rope/rope.ts'
import { attentionConformance } from '../../testing/index.ts'
import { gqa } from '../gqa/gqa.ts'
import { mqa } from './mqa.ts'

describe.each(['cpu', 'wasm'] as const)('mqa on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = attentionConformance(mqa, {
    options: (k) => ({ dim: 8, heads: 4, headDim: 6, positions: rope({ layout: 'interleaved' }), key: k }),
    badOptions: { groups: [1], heads: [0] },
    elementsPerToken: 2 * 6,
  })
  it.each(checks)('$name', ({ run }) => run())

  it('is GQA of one group, bit for bit', async () => {
    const options = { dim: 8, heads: 4, positions: rope(), headDim: 4, key: key(3) }
    const x = key(4).normal<tf.Rank.R3>([2, 5, 8])
    expect(await mqa(options).forward(x).data()).toEqual(
      await gqa({ ...options, groups: 1 })
        .forward(x)
        .data(),
    )
  })
})
