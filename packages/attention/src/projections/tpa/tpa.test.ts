import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { rope } from '../../positions/rope/rope.ts'
import { voRope } from '../../positions/vo-rope/vo-rope.ts'
import { attentionConformance } from '../../testing/index.ts'
import { tpa } from './tpa.ts'

describe.each(['cpu', 'wasm'] as const)('tpa on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  describe.each([
    ['rope', rope()],
    ['vo-rope', voRope({ layout: 'interleaved' })],
  ])('%s', (_, positions) => {
    const checks = attentionConformance(tpa, {
      options: (k) => ({ dim: 8, heads: 3, headDim: 4, ranks: [3, 2, 1] as [number, number, number], positions, key: k }),
      badOptions: { ranks: [[1, 2], [0, 1, 1], 3], headDim: [0] },
      elementsPerToken: (2 + 1) * (3 + 4),
    }) // prettier-ignore
    it.each(checks)('$name', ({ run }) => run())
  })

  it('refuses heads that do not divide the token', () => {
    expect(() => tpa({ dim: 7, heads: 2 })).toThrow(/^headDim/)
  })
})
