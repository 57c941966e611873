import { useBackend } from '@x/core-gpu'
import { beforeAll, describe } from 'vitest'
import { cacheCases } from './cache.cases.ts'

describe.each(['cpu', 'wasm'] as const)('caches on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))
  cacheCases()
})
