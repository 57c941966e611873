import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { logSoftmax, softmax } from './softmax.ts'

/** By the definition, in float64: log softmax of rows of d. */
function logarithms(x: ArrayLike<number>, d: number): number[] {
  const out: number[] = []
  for (let start = 0; start < x.length; start += d) {
    const row = Array.from({ length: d }, (_, j) => x[start + j]!)
    const most = Math.max(...row)
    const log = most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0))
    out.push(...row.map((value) => value - log))
  }
  return out
}

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 9 }),
  d: fc.oneof(fc.integer({ min: 1, max: 19 }), fc.integer({ min: 60, max: 150 })),
  spread: fc.constantFrom(0.1, 3, 40),
  seed: fc.nat(100),
})

describe.each(deviceCases)('softmax on $title', (device) => {
  beforeAll(() => useCase(device))

  it('agrees with float64, with its gradient', () => {
    fc.assert(
      fc.property(shapes, ({ rows, d, spread, seed }) => {
        const x = numbers(rows * d, seed).map((v) => v * spread)
        const dy = numbers(rows * d, seed + 1)
        const y = logarithms(x, d).map(Math.exp)
        const dx = y.map((p, i) => {
          const start = i - (i % d)
          const mean = y.slice(start, start + d).reduce((sum, q, j) => sum + q * dy[start + j]!, 0)
          return p * (dy[i]! - mean)
        })
        tf.tidy(() => {
          const input = tf.tensor2d(x, [rows, d])
          expectClose(softmax(input).dataSync(), y, 2e-6)
          expectClose(
            tf
              .grad(softmax)(input, tf.tensor2d(dy, [rows, d]))
              .dataSync(),
            dx,
            2e-6,
          )
        })
      }),
      { numRuns: 40 },
    )
  })

  it('agrees with float64 in logarithms, with its gradient', () => {
    fc.assert(
      fc.property(shapes, ({ rows, d, spread, seed }) => {
        const x = numbers(rows * d, seed).map((v) => v * spread)
        const dy = numbers(rows * d, seed + 1)
        const y = logarithms(x, d)
        const dx = y.map((log, i) => {
          const start = i - (i % d)
          return dy[i]! - Math.exp(log) * dy.slice(start, start + d).reduce((sum, g) => sum + g, 0)
        })
        tf.tidy(() => {
          const input = tf.tensor3d(x, [1, rows, d])
          expectClose(logSoftmax(input).dataSync(), y, 2e-6)
          expectClose(
            tf
              .grad(logSoftmax)(input, tf.tensor3d(dy, [1, rows, d]))
              .dataSync(),
            dx,
            1e-5,
          )
        })
      }),
      { numRuns: 40 },
    )
  })

  it('keeps masked and far values finite', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([-Infinity, 1, 1, -Infinity, 500, 400, -500, 500], [2, 4])
      expectClose(softmax(x).dataSync(), [0, 0.5, 0.5, 0, 0.5, 0, 0, 0.5], 1e-6)
      expectClose(logSoftmax(tf.tensor1d([1000, 0, 0])).dataSync(), [0, -1000, -1000], 1e-6)
    })
  })

  it('leaks nothing', () => {
    const x = tf.tensor2d(numbers(40), [10, 4])
    const gradient = tf.grad((t) => tf.sum(tf.square(tf.add(softmax(t), logSoftmax(t)))))
    expectNoLeaks(() => [softmax(x), logSoftmax(x), gradient(x)], 500)
    x.dispose()
  })

  it('takes no rows at all, and refuses whole numbers', () => {
    tf.tidy(() => {
      expect(softmax(tf.zeros([0, 3])).shape).toEqual([0, 3])
      expect(logSoftmax(tf.zeros([0, 3])).shape).toEqual([0, 3])
      expect(() => softmax(tf.ones([2], 'int32'))).toThrow(/x: expected float32/)
      expect(() => logSoftmax(tf.scalar(1))).toThrow(/x: expected float32/)
    })
  })
})
