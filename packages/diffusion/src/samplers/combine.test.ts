import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { combine } from './combine.ts'

describe('combine', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it('adds multiples, and leaves out what counts for nothing', async () => {
    const [a, b, nothing] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 5]), tf.tensor1d([NaN, Infinity])]
    const sum = combine([2, a], [-1, b], [0, nothing])
    expect(Array.from(await sum.data())).toEqual([-1, -1])
    const none = combine([0, a], [0, b])
    expect(Array.from(await none.data())).toEqual([0, 0])
    tf.dispose([a, b, nothing, sum, none])
  })

  it('gives a tensor of its own, and leaves nothing else', async () => {
    const a = tf.tensor1d([1, 2])
    combine([1, a]).dispose()
    expect(a.isDisposed).toBe(false)
    expect(await countLeaks(() => combine([1, a], [2, a], [0.5, a]))).toBe(0)
    a.dispose()
  })
})
