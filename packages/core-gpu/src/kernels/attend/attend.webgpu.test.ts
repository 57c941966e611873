import { beforeAll, describe } from 'vitest'
import type { BackendError } from '../../backends/backend-error.ts'
import { useBackend } from '../../backends/use-backend.ts'
import { halfCases } from '../half/half.cases.ts'
import { attentionCases } from './webgpu.cases.ts'

const where = await useBackend('webgpu').then(
  (device) => ({ title: device.describe().adapter, absent: false }),
  (error: BackendError) => ({ title: `skipped: ${error.attempts[0]!.reason}`, absent: true }),
)

describe.skipIf(where.absent)(`attention on webgpu (${where.title})`, () => {
  beforeAll(() => useBackend('webgpu'))
  describe('attention', attentionCases)
  describe('half precision', halfCases)
})
