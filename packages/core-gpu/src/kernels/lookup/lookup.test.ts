import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, finiteDifferences, numbers, useCase } from '../testing.ts'
import { lookup } from './lookup.ts'

describe.each(deviceCases)('lookup on $title', (device) => {
  beforeAll(() => useCase(device))

  it('picks rows in the shape of the indices', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
        fc.nat(100),
        (k, d, shape, seed) => {
          const codes = numbers(k * d, seed)
          const ids = Int32Array.from(numbers(tf.util.sizeFromShape(shape), seed + 1), (x) => ((x + 1) / 2) * k)
          tf.tidy(() => {
            const out = lookup(tf.tensor2d(codes, [k, d]), tf.tensor(ids, shape, 'int32'))
            expect(out.shape).toEqual([...shape, d])
            expectClose(
              out.dataSync(),
              Array.from(ids).flatMap((id) => Array.from(codes.subarray(id * d, id * d + d))),
            )
          })
        },
      ),
      { numRuns: 30 },
    )
  })

  it('adds gradients up where an index repeats', () => {
    const ids = [2, 0, 2, 1, 2, 0]
    const weights = numbers(6 * 3, 5)
    const value = (codes: Float32Array): number =>
      ids.reduce(
        (sum, id, i) => sum + [0, 1, 2].reduce((s, j) => s + weights[i * 3 + j]! * codes[id * 3 + j]! ** 2, 0),
        0,
      )
    tf.tidy(() => {
      const codes = numbers(4 * 3, 6)
      const indices = tf.tensor2d(ids, [2, 3], 'int32')
      const w = tf.tensor3d(weights, [2, 3, 3])
      const f = (table: tf.Tensor): tf.Scalar => tf.sum(tf.mul(w, tf.square(lookup(table as tf.Tensor2D, indices))))
      expectClose(
        tf
          .grad(f)(tf.tensor2d(codes, [4, 3]))
          .dataSync(),
        finiteDifferences(value, codes),
        1e-4,
      )
    })
  })

  it('gives NaN for indices outside the codebook, and them no gradient', () => {
    tf.tidy(() => {
      const table = tf.tensor2d([1, 2, 3, 4], [2, 2])
      const indices = tf.tensor1d([-1, 1, 2], 'int32')
      expectClose(lookup(table, indices).dataSync(), [NaN, NaN, 3, 4, NaN, NaN])
      const gradient = tf.grad((t) => tf.sum(lookup(t as tf.Tensor2D, indices)))(table)
      expectClose(gradient.dataSync(), [0, 0, 1, 1])
    })
  })

  it('takes no indices at all', () => {
    tf.tidy(() => {
      expect(lookup(tf.ones([3, 2]), tf.zeros([0, 5], 'int32')).shape).toEqual([0, 5, 2])
    })
  })

  it('leaks nothing, with its gradient', () => {
    const table = tf.tensor2d(numbers(8 * 4), [8, 4])
    const indices = tf.tensor1d([1, 7, 3, 3], 'int32')
    const gradient = tf.grad((t) => tf.sum(lookup(t as tf.Tensor2D, indices)))
    expectNoLeaks(() => [gradient(table)])
    tf.dispose([table, indices])
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      expect(() => lookup(tf.ones([3]) as unknown as tf.Tensor2D, tf.zeros([1], 'int32'))).toThrow(
        /codebook: .* got \[3\]/,
      )
      expect(() => lookup(tf.ones([3, 2]), tf.zeros([1]))).toThrow(/indices: expected int32, got float32/)
    })
  })
})
