import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectNoLeaks, useCase } from '../testing.ts'

describe.each(deviceCases)('clones on $title', (device) => {
  beforeAll(() => useCase(device))

  it('share their data, and keep it until the last is disposed', () => {
    const x = tf.tensor1d([1, 2, 3])
    const buffers = tf.memory().numDataBuffers
    const [first, second] = [tf.clone(x), tf.clone(x)]
    expect(tf.memory().numDataBuffers).toBe(buffers)
    x.dispose()
    first.dispose()
    expect(Array.from(second.dataSync())).toEqual([1, 2, 3])
    second.dispose()
    expect(tf.memory().numDataBuffers).toBe(buffers - 1)
  })

  it('leak nothing', () => {
    const x = tf.zeros([100])
    expectNoLeaks(() => [tf.clone(x)])
    x.dispose()
  })
})
