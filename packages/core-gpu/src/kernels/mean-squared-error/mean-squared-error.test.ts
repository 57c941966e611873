import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { stopGradient } from '../../autodiff/stop-gradient.ts'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { meanSquaredError } from './mean-squared-error.ts'

describe.each(deviceCases)('meanSquaredError on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each([[[]], [[1]], [[15]], [[3, 7]], [[2, 5, 1, 9]], [[70, 130]]])('follows the definition for %j', (shape) => {
    const n = tf.util.sizeFromShape(shape)
    const [x, y] = [numbers(n, 1), numbers(n, 2)]
    const expected = x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0) / n
    tf.tidy(() => {
      const [a, b] = [tf.tensor(x, shape), tf.tensor(y, shape)]
      const value = meanSquaredError(a, b)
      expect(value.shape).toEqual([])
      expectClose(value.dataSync(), [expected])
      const [da, db] = tf.grads((p, q) => tf.mul(3, meanSquaredError(p!, q!)))([a, b])
      // Times n, so that the tolerance means something for many elements.
      const slope = Array.from(x, (value, i) => 6 * (value - y[i]!))
      expectClose(tf.mul(da!, n).dataSync(), slope)
      expectClose(
        tf.mul(db!, n).dataSync(),
        slope.map((value) => -value),
      )
    })
  })

  it('gives a constant no gradient', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([1, 2])
      const gradient = tf.grad((t) => meanSquaredError(t, stopGradient(tf.mul(t, 3))))(x)
      expectClose(gradient.dataSync(), [-2, -4])
    })
  })

  it('has a second derivative', () => {
    tf.tidy(() => {
      const [x, y] = [tf.tensor1d(numbers(6, 1)), tf.tensor1d(numbers(6, 2))]
      const slope = tf.grad((a: tf.Tensor) => meanSquaredError(a, y))
      expectClose(tf.grad((a: tf.Tensor) => tf.sum(tf.square(slope(a))))(x).dataSync(), numbers(6, 1).map((value, i) => (2 / 9) * (value - numbers(6, 2)[i]!))) // prettier-ignore
    })
  })

  it('leaks nothing', () => {
    const [x, y] = [tf.tensor1d(numbers(20, 1)), tf.tensor1d(numbers(20, 2))]
    const gradients = tf.grads((a, b) => meanSquaredError(a!, b!))
    expectNoLeaks(() => [meanSquaredError(x, y), ...gradients([x, y])], 200)
    tf.dispose([x, y])
  })

  it('refuses other shapes', () => {
    tf.tidy(() => {
      expect(() => meanSquaredError(tf.zeros([2, 3]), tf.zeros([3]))).toThrow(/b: .*\[2, ?3\].*\[3\]/)
      expect(() => meanSquaredError(3 as never, tf.zeros([]))).toThrow(/^a: /)
    })
  })
})
