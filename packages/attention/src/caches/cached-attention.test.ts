import { useBackend } from '@x/core-gpu'
import { beforeAll, describe } from 'vitest'
import { cachedAttentionCases } from './cached-attention.cases.ts'

describe.each(['cpu', 'wasm'] as const)('attention through caches on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))
  cachedAttentionCases()
})
