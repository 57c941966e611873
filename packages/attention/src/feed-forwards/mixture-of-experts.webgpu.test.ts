import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe, it } from 'vitest'
import { expectMixture, kinds } from './mixture-of-experts.cases.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

// Where nothing can be read at once, experts go a way of their own.
describe.skipIf(!device)(`a mixture of experts on webgpu (${where})`, { timeout: 300_000 }, () => {
  it.each(['V2, in groups', 'V3, in groups'])('%s: is the sum of the chosen', async (kind) => {
    await expectMixture(kinds[kind]!, 5, 3)
  })
})
