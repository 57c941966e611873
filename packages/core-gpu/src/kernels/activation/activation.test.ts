import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { activationCases } from '../../nn/layer-cases.ts'
import { deviceCases, expectClose, expectNoLeaks, finiteDifferences, numbers, useCase } from '../testing.ts'
import { activation } from './activation.ts'

const composed = ['gelu', 'geluTanh', 'silu'] as const
const points = Float32Array.from([-90, -20, -6, -2.5, -1.3, -0.7, -0.2, 0.2, 0.9, 1.7, 3.1, 8, 20, 90])

describe.each(deviceCases)('activation functions on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each(activationCases)('%s agrees with float64 at any size, with its gradient', (_, apply, exact) => {
    for (const size of [1, 3, 4, 7, 14]) {
      const x = points.subarray(0, size)
      const slopes = Array.from(x, (value) => (exact(value + 1e-4) - exact(value - 1e-4)) / 2e-4)
      tf.tidy(() => {
        const input = tf.tensor1d(x)
        const y = apply(input).dataSync()
        x.forEach((value, i) =>
          expect(Math.abs(y[i]! - exact(value))).toBeLessThan(2e-6 * Math.max(1, Math.abs(value))),
        )
        expectClose(tf.grad(apply)(input).dataSync(), slopes, 1e-5)
      })
    }
  })

  it.each(composed)('%s agrees over more than one range', (name) => {
    const x = numbers(100_003, 1).map((value) => 4 * value)
    const exact = activationCases.find(([title]) => title === name)![2]
    tf.tidy(() => {
      const y = activation(name, tf.tensor1d(x)).dataSync()
      for (const i of [0, 43_691, 50_000, 100_002]) expect(Math.abs(y[i]! - exact(x[i]!))).toBeLessThan(2e-6)
    })
  })

  it('exp agrees to the last digits, and takes what is not finite', () => {
    tf.tidy(() => {
      const x = numbers(999, 3).map((value) => 80 * value)
      const y = tf.exp(tf.tensor1d(x)).dataSync()
      x.forEach((value, i) => expect(Math.abs(y[i]! / Math.exp(value) - 1)).toBeLessThan(3e-7))
      expectClose(tf.exp(tf.tensor1d([-Infinity, 0, Infinity, NaN])).dataSync(), [0, 1, Infinity, NaN])
      expectClose(tf.sigmoid(tf.tensor1d([-Infinity, 0, Infinity, NaN])).dataSync(), [0, 0.5, 1, NaN])
      expectClose(tf.tanh(tf.tensor1d([-Infinity, 0, Infinity, NaN])).dataSync(), [-1, 0, 1, NaN])
    })
  })

  it.each(composed)('%s can be differentiated twice', (name) => {
    const x = numbers(5, 2)
    const slope = (t: tf.Tensor): tf.Scalar => tf.sum(tf.grad((u) => tf.sum(tf.square(activation(name, u))))(t))
    const value = (at: Float32Array): number => tf.tidy(() => slope(tf.tensor1d(at)).dataSync()[0]!)
    // TensorFlow.js's own sigmoid and tanh cannot: what they save is cut off from what came before.
    if (name !== 'gelu') return
    tf.tidy(() => expectClose(tf.grad(slope)(tf.tensor1d(x)).dataSync(), finiteDifferences(value, x), 1e-2))
  })

  it('leak nothing', () => {
    const x = tf.tensor1d(numbers(10))
    const gradient = tf.grad((t) => tf.sum(tf.add(activation('gelu', t), tf.relu(tf.sigmoid(t)))))
    expectNoLeaks(() => [activation('silu', x), gradient(x)], 500)
    x.dispose()
  })
})
