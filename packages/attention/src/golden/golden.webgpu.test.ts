import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { cacheCases } from '../caches/cache.cases.ts'
import { goldenSuites } from './suites.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

// Each shape is a program to compile, which a software adapter is slow at.
const patience = { timeout: 300_000 }

describe.skipIf(!device)(`attention as recorded on webgpu (${where})`, patience, () => {
  describe('caches', cacheCases)

  describe.each(goldenSuites())('%s', (_, records, compare) => {
    it.each(records.map((record) => [record.id, record] as const))('%s', (_, record) => compare(record))
  })
})
