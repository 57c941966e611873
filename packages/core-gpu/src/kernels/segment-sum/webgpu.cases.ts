import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import { segmentSum } from './segment-sum.ts'

/** Sums by segment in float64. */
function sumsOf(values: Float32Array, ids: Int32Array, count: number): number[] {
  const d = values.length / ids.length
  const sums = Array.from<number>({ length: count * d }).fill(0)
  ids.forEach((id, i) => {
    if (id >= 0 && id < count) for (let j = 0; j < d; j++) sums[id * d + j]! += values[i * d + j]!
  })
  return sums
}

/** Ids from -1 to count, some outside at both ends. */
function idsFor(n: number, count: number, seed: number): Int32Array {
  return Int32Array.from(numbers(n, seed), (x) => Math.floor(((x + 1) / 2) * (count + 2)) - 1)
}

async function sum(values: Float32Array, ids: Int32Array, count: number): Promise<Float32Array> {
  const inputs = [tf.tensor2d(values, [ids.length, values.length / ids.length]), tf.tensor1d(ids, 'int32')] as const
  const sums = segmentSum(...inputs, count)
  const data = await sums.data<'float32'>()
  tf.dispose([...inputs, sums])
  return data
}

/** Cases of UnsortedSegmentSum, on the current backend. */
export function segmentSumCases(): void {
  it('adds up rows by id, across the borders of blocks, and leaves out ids outside', async () => {
    const size = (max: number, ...borders: number[]): fc.Arbitrary<number> =>
      fc.oneof(fc.integer({ min: 1, max }), ...borders.map((border) => fc.constant(border)))
    await fc.assert(
      fc.asyncProperty(
        size(600, 256, 257, 1500),
        size(70, 1, 64, 65, 129),
        size(100, 32, 33, 300),
        fc.nat(100),
        async (n, d, count, seed) => {
          const [values, ids] = [numbers(n * d, seed), idsFor(n, count, seed + 1)]
          expectClose(await sum(values, ids, count), sumsOf(values, ids, count))
        },
      ),
      { numRuns: 12, examples: [[3000, 3, 2, 1], [2500, 1, 1, 2], [300, 2, 2100, 3]] }, // prettier-ignore
    )
  })

  it('adds in one order: the same bits every time', async () => {
    const [values, ids] = [numbers(4000 * 3, 1), idsFor(4000, 2, 2)]
    const first = await sum(values, ids, 2)
    for (let i = 0; i < 3; i++) expect(await sum(values, ids, 2)).toEqual(first)
  })

  it('keeps whole numbers whole, and gives nothing for no rows', async () => {
    const [x, ids] = [tf.tensor1d([1, 2 ** 24 + 1, 3], 'int32'), tf.tensor1d([1, 1, 0], 'int32')]
    const sums = tf.unsortedSegmentSum(x, ids, 2)
    expect([sums.dtype, ...(await sums.data())]).toEqual(['int32', 3, 2 ** 24 + 2])
    const none = [tf.zeros([0, 2]), tf.zeros([0], 'int32')] as [tf.Tensor2D, tf.Tensor1D]
    const empty = tf.unsortedSegmentSum(...none, 3)
    expect([empty.shape, ...(await empty.data())]).toEqual([[3, 2], 0, 0, 0, 0, 0, 0])
    tf.dispose([x, ids, sums, ...none, empty])
  })

  it('hands each row the gradient of its segment, and none to rows outside', async () => {
    const [x, ids] = [tf.tensor2d(numbers(15), [5, 3]), tf.tensor1d([1, -1, 0, 1, 7], 'int32')]
    const weights = tf.tensor2d(numbers(6, 3), [2, 3])
    const gradient = tf.grad((t) => tf.sum(tf.mul(weights, segmentSum(t as tf.Tensor2D, ids, 2))))(x)
    const w = Array.from(await weights.data())
    const [first, second, none] = [w.slice(0, 3), w.slice(3), [0, 0, 0]]
    expectClose(await gradient.data(), [second, none, first, second, none].flat())
    tf.dispose([x, ids, weights, gradient])
  })

  it('leaks nothing', () => {
    const [x, ids] = [tf.tensor2d(numbers(2100), [1050, 2]), tf.tensor1d(idsFor(1050, 3, 1), 'int32')]
    expectNoLeaks(() => [segmentSum(x, ids, 3)], 20)
    tf.dispose([x, ids])
  })
}
