import { beforeAll, describe } from 'vitest'
import { BackendError } from '../backends/backend-error.ts'
import { useBackend } from '../backends/use-backend.ts'
import { operations } from './operations/index.ts'
import { testOperation } from './test-operation.ts'

let absence: string | undefined
try {
  await useBackend('tensorflow')
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  absence = ` (skipped: ${error.attempts[0]!.reason})`
}

describe.skipIf(absence !== undefined)(`on tensorflow${absence ?? ''}`, () => {
  beforeAll(() => useBackend('tensorflow'))

  for (const operation of operations) testOperation(operation, 'tensorflow')
})
