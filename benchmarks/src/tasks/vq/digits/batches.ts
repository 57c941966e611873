import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import { type Digits, pixels, pixelsOf } from './data.ts'

/** Digits looked at at once where nothing is trained: a quarter of those held out. */
const looksAt = 501

/** Draws rows without putting back: a new order for each pass over all of them. */
export function drawRows(count: number, batchSize: number, key: Key): (step: number) => Int32Array {
  const perPass = Math.floor(count / batchSize)
  let pass = -1
  let order: Int32Array = new Int32Array()
  return (step) => {
    const wanted = Math.floor(step / perPass)
    if (wanted !== pass) [pass, order] = [wanted, key.fold(wanted).permutation(count)]
    const start = (step % perPass) * batchSize
    return order.subarray(start, start + batchSize)
  }
}

/** All rows, some at a time and in their order. */
export function* allRows(count: number): Generator<Int32Array> {
  for (let start = 0; start < count; start += looksAt) {
    yield Int32Array.from({ length: Math.min(looksAt, count - start) }, (_, i) => start + i)
  }
}

/** Some digits, [rows.length, 784]. */
export function digitsAt(digits: Digits, rows: ArrayLike<number>): tf.Tensor2D {
  return tf.tensor2d(pixelsOf(digits, rows), [rows.length, pixels])
}
