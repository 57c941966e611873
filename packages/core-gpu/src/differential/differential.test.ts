import { beforeAll, describe } from 'vitest'
import { deviceCases, useCase } from '../kernels/testing.ts'
import { operations } from './operations/index.ts'
import { testOperation } from './test-operation.ts'

const devices = deviceCases.filter(({ options }) => options.kernels !== 'stock' && options.simd !== 'none')

describe.each(devices)('on $title', (device) => {
  beforeAll(async () => {
    await useCase(device)
  })

  for (const operation of operations) testOperation(operation, device.backend)
})
