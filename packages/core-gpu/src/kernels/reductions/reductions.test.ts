import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, numbers, useCase } from '../testing.ts'
import { reductionOf } from './reduction.ts'

/** Where each number of x lies in its sums over axes. */
function targets(shape: number[], axes: number[]): number[] {
  const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
  const strides = [...tf.util.computeStrides(kept), 1]
  const steps = tf.util.computeStrides(shape)
  return Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) =>
    tf.util
      .indexToLoc(i, shape.length, steps)
      .reduce((at, place, axis) => at + (axes.includes(axis) ? 0 : place * strides[axis]!), 0),
  )
}

/** Sums over axes by the definition, in float64. */
function sums(x: ArrayLike<number>, shape: number[], axes: number[]): number[] {
  const count = shape.reduce((product, size, axis) => product * (axes.includes(axis) ? 1 : size), 1)
  const out = Array.from<number>({ length: count }).fill(0)
  targets(shape, axes).forEach((at, i) => (out[at]! += x[i]!))
  return out
}

/** The adjoint of `sums`. */
function spreadOver(dy: ArrayLike<number>, shape: number[], axes: number[]): number[] {
  return targets(shape, axes).map((at) => dy[at]!)
}

describe.each(deviceCases)('sums and means on $title', (device) => {
  beforeAll(() => useCase(device))
  const isPack = device.backend === 'wasm' && device.options.kernels !== 'stock' && device.options.simd !== 'none'

  it('agree with float64 over any axes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 }),
        fc.subarray([0, 1, 2, 3], { minLength: 1 }),
        fc.boolean(),
        fc.nat(100),
        (shape, some, keepDims, seed) => {
          const axes = some.filter((axis) => axis < shape.length)
          fc.pre(axes.length > 0)
          const x = numbers(tf.util.sizeFromShape(shape), seed)
          const expected = sums(x, shape, axes)
          const count = x.length / expected.length
          tf.tidy(() => {
            const input = tf.tensor(x, shape)
            const total = tf.sum(input, axes, keepDims)
            expect(total.rank).toBe(keepDims ? shape.length : shape.length - axes.length)
            expectClose(total.dataSync(), expected)
            const dy = numbers(expected.length, seed + 1)
            const spread = (factor: number): number[] => spreadOver(dy, shape, axes).map((value) => value * factor)
            const gradient = (f: (t: tf.Tensor) => tf.Tensor): ArrayLike<number> =>
              tf.grad(f)(input, tf.tensor(dy, total.shape)).dataSync()
            expectClose(
              gradient((t) => tf.sum(t, axes, keepDims)),
              spread(1),
            )
            expectClose(
              gradient((t) => tf.mean(t, axes, keepDims)),
              spread(1 / count),
            )
            expectClose(
              tf.mean(input, axes, keepDims).dataSync(),
              expected.map((sum) => sum / count),
            )
          })
        },
      ),
      { numRuns: 60 },
    )
  })

  it.each([
    [[300, 70], [0]],
    [[20_000, 37], [0]],
    [[37, 2000], [1]],
    [[100_003], [0]],
    [[40, 900], [0]],
    [[3, 5000, 17], [1]],
  ])('agree for %j over %j, in more than one range', (shape, axes) => {
    const x = numbers(tf.util.sizeFromShape(shape), 1).map((value) => value + 0.5)
    tf.tidy(() => {
      const total = tf.sum(tf.tensor(x, shape), axes).dataSync()
      expectClose(total, sums(x, shape, axes), isPack ? 1e-6 : 1e-5)
    })
  })

  it('give 0 and NaN for nothing, and whole numbers for whole numbers', () => {
    tf.tidy(() => {
      // TensorFlow.js's own kernel gives what the memory held before.
      if (isPack) expectClose(tf.sum(tf.zeros([0, 3]), 0).dataSync(), [0, 0, 0])
      if (isPack) expectClose(tf.mean(tf.zeros([2, 0]), 1).dataSync(), [NaN, NaN])
      const total = tf.sum(tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'))
      expect([total.dtype, ...total.dataSync()]).toEqual(['int32', 10])
    })
  })
})

describe('reductionOf', () => {
  it('sees what lies side by side', () => {
    expect(reductionOf([2, 3, 4], [1])).toEqual([2, 3, 4])
    expect(reductionOf([2, 3, 4], [0, 1])).toEqual([1, 6, 4])
    expect(reductionOf([2, 1, 4], [0, 2])).toEqual([1, 8, 1])
    expect(reductionOf([2, 3, 4], [0, 2])).toBeNull()
    expect(reductionOf([2, 1], [1])).toEqual([2, 1, 1])
  })
})
