import { beforeAll, describe } from 'vitest'
import { deviceCases, useCase } from '../testing.ts'
import { halfCases } from './half.cases.ts'

describe.each(deviceCases)('half precision on $title', (device) => {
  beforeAll(() => useCase(device))
  halfCases()
})
