import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, it } from 'vitest'
import { deviceCases, expectClose, finiteDifferences, numbers, useCase } from '../testing.ts'

const shape: [number, number, number, number] = [2, 3, 2, 2]

const operations: [string, (x: tf.Tensor4D) => tf.Tensor][] = [
  ['nearest upsampling by 2', (x) => tf.image.resizeNearestNeighbor(x, [6, 4])],
  ['nearest upsampling by 1.5', (x) => tf.image.resizeNearestNeighbor(x, [4, 3])],
  ['nearest upsampling with corners aligned', (x) => tf.image.resizeNearestNeighbor(x, [7, 5], true)],
  ['nearest downsampling', (x) => tf.image.resizeNearestNeighbor(x, [2, 1])],
  ['bilinear upsampling', (x) => tf.image.resizeBilinear(x, [6, 5])],
  ['bilinear upsampling with corners aligned', (x) => tf.image.resizeBilinear(x, [6, 5], true)],
  ['nearest upsampling with half-pixel centres', (x) => tf.image.resizeNearestNeighbor(x, [7, 3], false, true)],
  ['bilinear upsampling with half-pixel centres', (x) => tf.image.resizeBilinear(x, [7, 3], false, true)],
]

// Stock kernels are wrong for some of these.
describe.each(deviceCases.filter(({ options }) => options.kernels !== 'stock'))('on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each(operations)('the gradient of %s is right for batches', (_, operation) => {
    tf.tidy(() => {
      const start = numbers(24, 3)
      const { shape: outShape, size } = operation(tf.tensor4d(start, shape))
      const weights = tf.tensor(numbers(size, 5), outShape)
      const f = (x: tf.Tensor): tf.Scalar => tf.sum(tf.mul(weights, operation(x as tf.Tensor4D)))
      const value = (x: Float32Array): number => tf.tidy(() => f(tf.tensor4d(x, shape)).dataSync()[0]!)
      const gradient = tf.grad(f)(tf.tensor4d(start, shape))
      expectClose(gradient.dataSync(), finiteDifferences(value, start), 1e-3)
    })
  })
})
