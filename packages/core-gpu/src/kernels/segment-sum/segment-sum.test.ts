import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { segmentSum } from './segment-sum.ts'

describe.each(deviceCases)('segmentSum on $title', (device) => {
  beforeAll(() => useCase(device))

  it('adds up rows by id and leaves out ids outside', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(100),
        (n, d, count, seed) => {
          const values = numbers(n * d, seed)
          const ids = Int32Array.from(numbers(n, seed + 1), (x) => Math.floor(((x + 1) / 2) * (count + 2)) - 1)
          const expected = Array.from<number>({ length: count * d }).fill(0)
          ids.forEach((id, i) => {
            if (id >= 0 && id < count) for (let j = 0; j < d; j++) expected[id * d + j]! += values[i * d + j]!
          })
          tf.tidy(() => {
            const out = segmentSum(tf.tensor2d(values, [n, d]), tf.tensor1d(ids, 'int32'), count)
            expect(out.shape).toEqual([count, d])
            expectClose(out.dataSync(), expected)
          })
        },
      ),
      { numRuns: 30 },
    )
  })

  it('counts with a vector of ones', () => {
    tf.tidy(() => {
      const counts = segmentSum(tf.ones([5]) as tf.Tensor1D, tf.tensor1d([0, 2, 2, 5, 0], 'int32'), 4)
      expect(Array.from(counts.dataSync())).toEqual([2, 0, 2, 0])
    })
  })

  it('hands each row the gradient of its segment, and none to rows outside', () => {
    tf.tidy(() => {
      const ids = tf.tensor1d([1, -1, 0, 1, 7], 'int32')
      const weights = tf.tensor2d(numbers(6, 3), [2, 3])
      const f = (x: tf.Tensor): tf.Scalar => tf.sum(tf.mul(weights, segmentSum(x as tf.Tensor2D, ids, 2)))
      const w = Array.from(weights.dataSync())
      const [first, second, none] = [w.slice(0, 3), w.slice(3), [0, 0, 0]]
      const gradient = tf.grad(f)(tf.tensor2d(numbers(15), [5, 3]))
      expectClose(gradient.dataSync(), [second, none, first, second, none].flat())
    })
  })

  it('serves the gradient of tf.gather', () => {
    tf.tidy(() => {
      const indices = tf.tensor1d([0, 2, 2], 'int32')
      const gradient = tf.grad((x) => tf.sum(tf.gather(x, indices)))(tf.ones([4, 2]))
      expectClose(gradient.dataSync(), [1, 1, 0, 0, 2, 2, 0, 0])
    })
  })

  it('keeps whole numbers whole', () => {
    tf.tidy(() => {
      const out = tf.unsortedSegmentSum(tf.tensor1d([1, 2, 3], 'int32'), tf.tensor1d([1, 1, 0], 'int32'), 2)
      expect([out.dtype, ...out.dataSync()]).toEqual(['int32', 3, 3])
    })
  })

  it('leaks nothing', () => {
    const values = tf.tensor2d(numbers(40), [10, 4])
    const ids = tf.tensor1d([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], 'int32')
    const gradient = tf.grad((x) => tf.sum(tf.square(segmentSum(x as tf.Tensor2D, ids, 5))))
    expectNoLeaks(() => [segmentSum(values, ids, 5), gradient(values)])
    tf.dispose([values, ids])
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      const ids = tf.zeros([3], 'int32') as tf.Tensor1D
      expect(() => segmentSum(tf.ones([2, 2]) as tf.Tensor2D, ids, 2)).toThrow(/ids: expected shape \[2\], got \[3\]/)
      expect(() => segmentSum(tf.ones([3, 1, 1]) as unknown as tf.Tensor2D, ids, 2)).toThrow(/values/)
      expect(() => segmentSum(tf.ones([3, 2]) as tf.Tensor2D, ids, 0)).toThrow(/count/)
      expect(() => segmentSum(tf.ones([3, 2]) as tf.Tensor2D, tf.zeros([3]) as tf.Tensor1D, 2)).toThrow(/int32/)
    })
  })
})
