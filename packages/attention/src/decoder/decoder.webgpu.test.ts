import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { describe } from 'vitest'
import { cachedDecoderCases } from './decoder.cases.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

describe.skipIf(!device)(`decoder on webgpu (${where})`, { timeout: 300_000 }, () => {
  cachedDecoderCases(['mla'])
})
