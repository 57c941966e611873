import { beforeAll, describe } from 'vitest'
import { deviceCases, useCase } from '../testing.ts'
import { rotaryCases } from './rope.cases.ts'

describe.each(deviceCases)('rotary on $title', (device) => {
  beforeAll(() => useCase(device))
  rotaryCases()
})
