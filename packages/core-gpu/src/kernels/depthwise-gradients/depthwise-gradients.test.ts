import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, it } from 'vitest'
import { convolutionGradients, convolutions } from '../conv2d/convolutions.ts'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'

describe.each(deviceCases)('depthwise convolution gradients on $title', (device) => {
  beforeAll(() => useCase(device))

  it('agree with float64 for odd sizes, strides, dilations, paddings and multipliers', () => {
    fc.assert(
      fc.property(convolutions, fc.integer({ min: 1, max: 3 }), (convolution, multiplier) => {
        const { batch, height, width, inC, kh, kw, stride, dilation, pad } = convolution
        tf.tidy(() => {
          const x = tf.tensor4d(numbers(batch * height * width * inC, 1), [batch, height, width, inC])
          const filter = tf.tensor4d(numbers(kh * kw * inC * multiplier, 2), [kh, kw, inC, multiplier])
          const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor4D =>
            tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, pad, 'NHWC', dilation)
          const { shape, size } = convolve(x, filter)
          const dy = tf.tensor4d(numbers(size, 3), shape)
          const [dx, dFilter] = tf.grads(convolve)([x, filter], dy) as [tf.Tensor, tf.Tensor]
          const read = [x, filter, dy].map((tensor) => tensor.dataSync()) as [Float32Array, Float32Array, Float32Array]
          const expected = convolutionGradients(convolution, ...read, shape, multiplier)
          expectClose(dx.dataSync(), expected.dx)
          expectClose(dFilter.dataSync(), expected.dFilter)
        })
      }),
      { numRuns: 40 },
    )
  })

  it('leak nothing', () => {
    const x = tf.tensor4d(numbers(2 * 6 * 5 * 3), [2, 6, 5, 3])
    const filter = tf.tensor4d(numbers(3 * 3 * 3 * 2), [3, 3, 3, 2])
    const gradients = tf.grads((a, b) => tf.sum(tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same')))
    expectNoLeaks(() => gradients([x, filter]), 300)
    tf.dispose([x, filter])
  })
})
