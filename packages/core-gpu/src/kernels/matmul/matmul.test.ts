import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'

/** Batched product with broadcasting, in float64. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): number[] {
  const [x, y] = [a.dataSync(), b.dataSync()]
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number]
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number]
  const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns]
  const n = transposeB ? bRows : bColumns
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const strides = tf.util.computeStrides([...batch, 1])
  const position = (i: number, own: number[]): number => {
    const indices = batch
      .map((size, axis) => Math.floor(i / (strides[axis] ?? 1)) % size)
      .slice(batch.length - own.length)
    return indices.reduce((at, index, axis) => at * own[axis]! + (own[axis] === 1 ? 0 : index), 0)
  }
  const out: number[] = []
  for (let i = 0; i < tf.util.sizeFromShape(batch); i++) {
    const aAt = position(i, a.shape.slice(0, -2)) * aRows * aColumns
    const bAt = position(i, b.shape.slice(0, -2)) * bRows * bColumns
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0
        for (let p = 0; p < k; p++) {
          const left = x[aAt + (transposeA ? p * aColumns + row : row * aColumns + p)]!
          sum += left * y[bAt + (transposeB ? column * bColumns + p : p * bColumns + column)]!
        }
        out.push(sum)
      }
    }
  }
  return out
}

describe.each(deviceCases)('matrix product on $title', (device) => {
  beforeAll(() => useCase(device))

  // tfjs's own kernels get batches wrong that broadcast in both directions, and those of wasm clamp a NaN to zero.
  const stock = device.backend === 'cpu' || device.options.kernels === 'stock' || device.options.simd === 'none'
  const oneSided = [
    [[], []],
    [[3], []],
    [[], [2]],
    [[2], [2]],
    [[1], [4]],
    [[4], [1]],
  ]
  const batches = stock
    ? oneSided
    : [
        ...oneSided,
        [[2, 3], [3]],
        [
          [2, 1],
          [1, 3],
        ],
      ]
  const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(47, 48, 49, 64))

  it('agrees with float64 for every transposition, with broadcast batches', () => {
    fc.assert(
      fc.property(
        size,
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom(...batches),
        (m, k, n, transposeA, transposeB, [aBatch, bBatch]) => {
          const aShape = [...aBatch!, ...(transposeA ? [k, m] : [m, k])]
          const bShape = [...bBatch!, ...(transposeB ? [n, k] : [k, n])]
          tf.tidy(() => {
            const a = tf.tensor(numbers(tf.util.sizeFromShape(aShape), m), aShape)
            const b = tf.tensor(numbers(tf.util.sizeFromShape(bShape), n + 7), bShape)
            const out = tf.matMul(a, b, transposeA, transposeB)
            expect(out.shape.slice(-2)).toEqual([m, n])
            expectClose(out.dataSync(), product(a, b, transposeA, transposeB))
          })
        },
      ),
      { numRuns: 60 },
    )
  })

  it('agrees with float64 beyond one block of every dimension', () => {
    tf.tidy(() => {
      const a = tf.tensor2d(numbers(100 * 1030, 2), [100, 1030])
      const b = tf.tensor2d(numbers(1030 * 50, 3), [1030, 50])
      expectClose(tf.matMul(a, b).dataSync(), product(a, b, false, false))
      const wide = tf.tensor2d(numbers(1100 * 9, 4), [1100, 9])
      const c = tf.tensor2d(numbers(7 * 9, 5), [7, 9])
      expectClose(tf.matMul(c, wide, false, true).dataSync(), product(c, wide, false, true))
    })
  })

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('agrees with float64 where all dimensions go beyond a block, transposed: %s, %s', (transposeA, transposeB) => {
    tf.tidy(() => {
      for (const [m, n, k] of [
        [31, 401, 300],
        [401, 31, 300],
      ] as const) {
        const a = tf.tensor2d(numbers(m * k, 2), transposeA ? [k, m] : [m, k])
        const b = tf.tensor2d(numbers(k * n, 3), transposeB ? [n, k] : [k, n])
        const out = tf.matMul(a, b, transposeA, transposeB)
        expectClose(out.dataSync(), product(a, b, transposeA, transposeB))
      }
    })
  })

  it.skipIf(stock)('sums nothing to zero (own kernels only)', () => {
    tf.tidy(() => {
      expectClose(tf.matMul(tf.zeros([3, 0]), tf.zeros([0, 2])).dataSync(), Array.from<number>({ length: 6 }).fill(0))
      expect(tf.matMul(tf.zeros([0, 3]), tf.zeros([3, 2])).shape).toEqual([0, 2])
    })
  })

  it.each(['linear', 'relu', 'relu6', 'leakyrelu', 'sigmoid', 'elu'] as const)('fuses a bias and %s', (activation) => {
    const apply = {
      linear: (x: number) => x,
      relu: (x: number) => Math.max(0, x),
      relu6: (x: number) => Math.min(6, Math.max(0, x)),
      leakyrelu: (x: number) => (x < 0 ? 0.3 * x : x),
      sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
      elu: (x: number) => (x < 0 ? Math.expm1(x) : x),
    }[activation]
    tf.tidy(() => {
      const a = tf.mul(tf.tensor2d(numbers(50 * 30, 6), [50, 30]), 3) as tf.Tensor2D
      const b = tf.tensor2d(numbers(30 * 13, 7), [30, 13])
      const bias = tf.tensor1d(numbers(13, 8))
      const out = tf.fused.matMul({ a, b, bias, activation, leakyreluAlpha: 0.3 })
      const biases = bias.dataSync()
      expectClose(
        out.dataSync(),
        product(a, b, false, false).map((x, i) => apply(x + biases[i % 13]!)),
        1e-4,
      )
    })
  })

  it.skipIf(stock)('lets a NaN through (own kernels only)', () => {
    tf.tidy(() => {
      const a = tf.tensor2d([1, NaN, 2, 3, 1, 1, 1, 1, 1, 1], [5, 2])
      const out = tf.fused.matMul({ a, b: tf.ones([2, 3]), activation: 'relu' })
      expectClose(out.dataSync(), [
        NaN,
        NaN,
        NaN,
        ...Array.from<number>({ length: 3 }).fill(5),
        ...Array.from<number>({ length: 9 }).fill(2),
      ])
    })
  })

  it('leaks nothing', () => {
    const a = tf.tensor2d(numbers(7 * 60), [7, 60])
    const b = tf.tensor2d(numbers(9 * 60), [9, 60])
    expectNoLeaks(() => [tf.matMul(a, b, false, true)])
    tf.dispose([a, b])
  })
})
