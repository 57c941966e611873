import { useBackend } from '@x/core-gpu'
import { beforeAll, describe } from 'vitest'
import { coefficientCases, predictionCases } from './predictions.cases.ts'

describe.each(['cpu', 'wasm'] as const)('predictions on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))
  predictionCases()
})

describe('predictions in numbers', () => {
  beforeAll(async () => void (await useBackend('cpu')))
  coefficientCases()
})
