import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import { gatherRows } from './gather-rows.ts'
import { lookup } from './lookup.ts'

/** Cases of XGatherRows and of the gradient of `lookup`, on the current backend. */
export function lookupCases(): void {
  it('picks rows of any width, and fills for ids outside', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(100),
        async (n, k, d, seed) => {
          const codes = numbers(k * d, seed)
          const ids = Int32Array.from(numbers(n, seed + 1), (x) => Math.floor(((x + 1) / 2) * (k + 2)) - 1)
          const inputs = [tf.tensor2d(codes, [k, d]), tf.tensor1d(ids, 'int32')] as const
          const rows = gatherRows(...inputs, NaN)
          expect(rows.shape).toEqual([n, d])
          const expected = Array.from(ids).flatMap((id) =>
            Array.from<unknown, number>({ length: d }, (_, j) => (id >= 0 && id < k ? codes[id * d + j]! : NaN)),
          )
          expect(Array.from(await rows.data())).toEqual(expected)
          tf.dispose([...inputs, rows])
        },
      ),
      { numRuns: 12 },
    )
  })

  it('looks codes up, with gradients that add up', async () => {
    const table = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2])
    const inside = tf.tensor2d([[2, 0], [2, 2]], [2, 2], 'int32') // prettier-ignore
    const gradient = tf.grad((t) => tf.sum(tf.square(lookup(t as tf.Tensor2D, inside))))(table)
    expectClose(await gradient.data(), [2, 4, 0, 0, 30, 36])
    tf.dispose([table, inside, gradient])
  })

  it('leaks nothing, with its gradient', () => {
    const table = tf.tensor2d(numbers(32), [8, 4])
    const ids = tf.tensor1d([1, 7, 3, 3], 'int32')
    const gradient = tf.grad((t) => tf.sum(lookup(t as tf.Tensor2D, ids)))
    expectNoLeaks(() => [gradient(table)], 50)
    tf.dispose([table, ids])
  })
}
