import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { attendCached } from '../attend/attend-cached.ts'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import { packHalf, unpackHalf } from './half.ts'

/** Cases of half precision, on the current backend. */
export function halfCases(): void {
  it('keeps what half precision can hold', async () => {
    const exact = [0, -0, 1, -2, 0.5, 512.5, 2047, -65504, 2 ** -14, 2 ** -24, 3 * 2 ** -20, 0.333251953125]
    const x = tf.tensor2d(exact, [2, 6])
    const packed = packHalf(x)
    expect([packed.shape, packed.dtype]).toEqual([[2, 3], 'int32'])
    const back = unpackHalf(packed)
    expect(Array.from(await back.data())).toEqual(exact)
    tf.dispose([x, packed, back])
  })

  it('rounds to a neighbour, and keeps to the largest', async () => {
    const values = numbers(1000, 1).map((v, i) => v * 10 ** ((i % 9) - 4))
    const x = tf.tensor1d([...values, 1e6, -1e6])
    const packed = packHalf(x)
    const back = await unpackHalf(packed).data()
    values.forEach((value, i) => expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -10 + 2 ** -24)) // prettier-ignore
    expect([back[1000], back[1001]]).toEqual([65504, -65504])
    tf.dispose([x, packed])
  })

  it.each([
    [8, 12, 300, 'keys and values'],
    [6, 6, 40, 'keys'],
  ])('serves attention over a cache: %i and %i wide, %i keys, %s', async (width, valueWidth, keys, which) => {
    const q = tf.tensor4d(numbers(4 * width, 1), [1, 4, 1, width])
    const k = tf.tensor4d(numbers(2 * keys * width, 2), [1, 2, keys, width])
    const v = tf.tensor4d(numbers(2 * keys * valueWidth, 3), [1, 2, keys, valueWidth])
    const [packedK, packedV] = [packHalf(k) as tf.Tensor4D, packHalf(v) as tf.Tensor4D]
    const [roundK, roundV] = [unpackHalf(packedK) as tf.Tensor4D, unpackHalf(packedV) as tf.Tensor4D]
    const expected = attendCached(q, roundK, roundV, keys - 3)
    const got = attendCached(q, packedK, which === 'keys' ? roundV : packedV, keys - 3)
    expectClose(await got.output.data(), await expected.output.data())
    expectClose(await got.logSumExp.data(), await expected.logSumExp.data())
    tf.dispose([got.output, got.logSumExp])
    const full = attendCached(q, k, v, keys - 3)
    expectClose(await expected.output.data(), await full.output.data(), 2e-3)
    expectNoLeaks(() => Object.values(attendCached(q, packedK, which === 'keys' ? roundV : packedV, 9)), 5)
    tf.dispose([q, k, v, packedK, packedV, roundK, roundV, expected.output, expected.logSumExp, full.output, full.logSumExp]) // prettier-ignore
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      expect(() => packHalf(tf.zeros([2, 3]))).toThrow(/x: expected an even last dimension, got \[2, 3\]/)
      expect(() => packHalf(tf.zeros([2], 'int32'))).toThrow(/x: expected float32, got int32/)
      expect(() => unpackHalf(tf.zeros([2]))).toThrow(/packed: expected int32, got float32/)
      const [q, k, v] = [
        tf.zeros([1, 2, 1, 8]),
        tf.zeros([1, 1, 5, 8], 'int32'),
        tf.zeros([1, 1, 5, 4]),
      ] as tf.Tensor4D[]
      expect(() => attendCached(q!, k!, v!, 3)).toThrow(/k: expected shape \[1, \?, \?, 4\], got \[1, 1, 5, 8\]/)
    })
  })
}
