import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { rope } from '../../positions/rope/rope.ts'
import { attentionConformance } from '../../testing/index.ts'
import { mfa } from './mfa.ts'

describe.each(['cpu', 'wasm'] as const)('mfa on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = attentionConformance(mfa, {
    options: (k) => ({ dim: 6, heads: 3, headDim: 8, queryRank: 4, positions: rope(), key: k }),
    badOptions: { queryRank: [0, 1.5], heads: [0], groups: [1] },
    elementsPerToken: 2 * 8,
  })
  it.each(checks)('$name', ({ run }) => run())
})
