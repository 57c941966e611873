import { beforeAll, describe } from 'vitest'
import { BackendError } from '../backends/backend-error.ts'
import type { Device } from '../backends/device.ts'
import { useBackend } from '../backends/use-backend.ts'
import { operations } from './operations/index.ts'
import { testOperation } from './test-operation.ts'

let device: Device | undefined
let absence = ''
try {
  device = await useBackend('webgpu')
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  absence = ` (skipped: ${error.attempts[0]!.reason})`
}

describe.skipIf(!device)(`on webgpu, ${device?.describe().adapter ?? 'no adapter'}${absence}`, () => {
  beforeAll(() => useBackend('webgpu'))

  // WGSL allows trigonometric functions an error of 2^-11; on a software adapter few trials take long enough.
  for (const operation of operations) testOperation(operation, 'webgpu', { runs: 3, tolerance: 5e-4 })
})
