import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { type Convolution, convolutionGradients, convolutions } from './convolutions.ts'

const shapesOf = ({ batch, height, width, inC, outC, kh, kw }: Convolution) => ({
  x: [batch, height, width, inC] as [number, number, number, number],
  filter: [kh, kw, inC, outC] as [number, number, number, number],
})

describe.each(deviceCases)('convolution gradients on $title', (device) => {
  beforeAll(() => useCase(device))

  it('agree with float64 for odd sizes, strides, dilations and paddings', () => {
    fc.assert(
      fc.property(convolutions, (convolution) => {
        const { stride, dilation, pad } = convolution
        const shapes = shapesOf(convolution)
        tf.tidy(() => {
          const x = tf.tensor4d(numbers(tf.util.sizeFromShape(shapes.x), 1), shapes.x)
          const filter = tf.tensor4d(numbers(tf.util.sizeFromShape(shapes.filter), 2), shapes.filter)
          const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor4D =>
            tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, pad, 'NHWC', dilation)
          const { shape, size } = convolve(x, filter)
          const dy = tf.tensor4d(numbers(size, 3), shape)
          const [dx, dFilter] = tf.grads(convolve)([x, filter], dy) as [tf.Tensor, tf.Tensor]
          const expected = convolutionGradients(convolution, x.dataSync(), filter.dataSync(), dy.dataSync(), shape)
          expectClose(dx.dataSync(), expected.dx)
          expectClose(dFilter.dataSync(), expected.dFilter)
        })
      }),
      { numRuns: 40 },
    )
  })

  it('agree over more than one block of rows', () => {
    const convolution = {
      batch: 2,
      height: 40,
      width: 35,
      inC: 1,
      outC: 2,
      kh: 3,
      kw: 3,
      stride: 1,
      dilation: 1,
      pad: 'same',
    }
    const { x: xShape, filter: filterShape } = shapesOf(convolution as Convolution)
    tf.tidy(() => {
      const x = tf.tensor4d(numbers(tf.util.sizeFromShape(xShape), 1), xShape)
      const filter = tf.tensor4d(numbers(tf.util.sizeFromShape(filterShape), 2), filterShape)
      const dy = tf.tensor4d(numbers(2 * 40 * 35 * 2, 3), [2, 40, 35, 2])
      const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
        tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same')
      const [dx, dFilter] = tf.grads(convolve)([x, filter], dy) as [tf.Tensor, tf.Tensor]
      const expected = convolutionGradients(
        convolution as Convolution,
        x.dataSync(),
        filter.dataSync(),
        dy.dataSync(),
        dy.shape,
      )
      expectClose(dx.dataSync(), expected.dx)
      expectClose(dFilter.dataSync(), expected.dFilter)
    })
  })

  it('make a transposed convolution the adjoint of the convolution, and train', () => {
    tf.tidy(() => {
      const filter = tf.tensor4d(numbers(3 * 3 * 2 * 5, 2), [3, 3, 2, 5])
      const small = tf.tensor4d(numbers(2 * 4 * 3 * 5, 3), [2, 4, 3, 5])
      const large = tf.tensor4d(numbers(2 * 8 * 6 * 2, 4), [2, 8, 6, 2])
      const up = (y: tf.Tensor, f: tf.Tensor): tf.Tensor =>
        tf.conv2dTranspose(y as tf.Tensor4D, f as tf.Tensor4D, [2, 8, 6, 2], 2, 'same')
      const down = tf.conv2d(large, filter, 2, 'same')
      const inner = (a: tf.Tensor, b: tf.Tensor): number => tf.sum(tf.mul(a, b)).dataSync()[0]!
      expect(inner(up(small, filter), large)).toBeCloseTo(inner(small, down), 3)
      const [dSmall, dFilter] = tf.grads(up)([small, filter], large) as [tf.Tensor, tf.Tensor]
      expectClose(dSmall.dataSync(), down.dataSync())
      // up is linear in the filter, so its derivative along the filter itself is its value.
      expect(inner(dFilter, filter)).toBeCloseTo(inner(up(small, filter), large), 3)
    })
  })

  it('leak nothing', () => {
    const x = tf.tensor4d(numbers(2 * 6 * 5 * 3), [2, 6, 5, 3])
    const filter = tf.tensor4d(numbers(3 * 3 * 3 * 4), [3, 3, 3, 4])
    const gradients = tf.grads((a, b) => tf.sum(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, 'same')))
    expectNoLeaks(() => gradients([x, filter]), 500)
    tf.dispose([x, filter])
  })
})
