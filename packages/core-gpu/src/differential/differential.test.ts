import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe } from 'vitest'
import { deviceCases, useCase } from '../kernels/testing.ts'
import { operations } from './operations/index.ts'
import { testOperation } from './test-operation.ts'

const devices = deviceCases.filter(({ options }) => options.kernels !== 'stock' && options.simd !== 'none')

describe.each(devices)('on $title', (device) => {
  beforeAll(async () => {
    // Its leak check takes what an operation saves for its gradient for a leak; leaks are counted here as well.
    tf.env().set('IS_TEST', false)
    await useCase(device)
  })

  for (const operation of operations) testOperation(operation)
})
