import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { goldenSuites } from './suites.ts'

describe.each(['cpu', 'wasm'] as const)('attention on %s gives the recorded numbers', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))
  describe.each(goldenSuites())('%s', (_, records, compare) => {
    it.each(records.map((record) => [record.id, record] as const))('%s', (_, record) => compare(record))
  })
})
