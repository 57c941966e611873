import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, finiteDifferences, numbers, useCase } from '../testing.ts'

const shape: [number, number, number, number] = [2, 4, 3, 2]

const operations: [string, (x: tf.Tensor4D) => tf.Tensor][] = [
  ['average pooling', (x) => tf.avgPool(x, 2, 2, 'valid')],
  ['average pooling with padding', (x) => tf.avgPool(x, 2, 1, 'same')],
  ['average pooling with stride and padding', (x) => tf.avgPool(x, [3, 2], 2, 'same')],
  ['max pooling', (x) => tf.maxPool(x, 2, 1, 'valid')],
  ['max pooling with stride', (x) => tf.maxPool(x, 2, 2, 'valid')],
  ['max pooling with stride and padding', (x) => tf.maxPool(x, [3, 2], 2, 'same')],
]

// Stock kernels are wrong for some of these.
describe.each(deviceCases.filter(({ options }) => options.kernels !== 'stock'))('on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each(operations)('the gradient of %s is right', (_, operation) => {
    tf.tidy(() => {
      const start = numbers(48, 3)
      const { shape: outShape, size } = operation(tf.tensor4d(start, shape))
      const weights = tf.tensor(numbers(size, 5), outShape)
      const f = (x: tf.Tensor): tf.Scalar => tf.sum(tf.mul(weights, operation(x as tf.Tensor4D)))
      const value = (x: Float32Array): number => tf.tidy(() => f(tf.tensor4d(x, shape)).dataSync()[0]!)
      const gradient = tf.grad(f)(tf.tensor4d(start, shape))
      expectClose(gradient.dataSync(), finiteDifferences(value, start, 1e-3), 2e-3)
    })
  })

  it('pooling gradients leak nothing', () => {
    const x = tf.tensor4d(numbers(48), shape)
    const average = tf.grad((t) => tf.sum(tf.avgPool(t as tf.Tensor4D, 2, 1, 'same')))
    const max = tf.grad((t) => tf.sum(tf.maxPool(t as tf.Tensor4D, 2, 1, 'same')))
    expectNoLeaks(() => [average(x), max(x)], 300)
    x.dispose()
  })
})
