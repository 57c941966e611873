import { BackendError, type Device, useBackend } from '@x/core-gpu'
import { beforeAll, describe } from 'vitest'
import { lossCases } from '../losses/losses.cases.ts'
import { predictionCases } from './predictions.cases.ts'

let device: Device | undefined
let where: string
try {
  device = await useBackend('webgpu')
  where = String(device.describe().adapter)
} catch (error) {
  if (!(error instanceof BackendError)) throw error
  where = `skipped: ${error.attempts[0]!.reason}`
}

describe.skipIf(!device)(`predictions and losses on webgpu (${where})`, () => {
  beforeAll(async () => void (await useBackend('webgpu')))
  predictionCases()
  lossCases()
})
