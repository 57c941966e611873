import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { hasKernel } from '../registry.ts'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from '../testing.ts'
import { attend } from './attend.ts'
import { attendCached } from './attend-cached.ts'
import type { AttendSizes } from './contract.ts'
import { exactAttention } from './exact.ts'
import { mergeAttention } from './merge-attention.ts'

function tensors(sizes: AttendSizes, seed: number): { q: tf.Tensor4D; k: tf.Tensor4D; v: tf.Tensor4D } {
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  return {
    q: tf.tensor4d(numbers(batch * heads * queries * width, seed + 1), [batch, heads, queries, width]),
    k: tf.tensor4d(numbers(batch * groups * keys * width, seed + 2), [batch, groups, keys, width]),
    v: tf.tensor4d(numbers(batch * groups * keys * valueWidth, seed + 3), [batch, groups, keys, valueWidth]),
  }
}

const sizes: AttendSizes = { batch: 2, heads: 4, groups: 2, queries: 3, keys: 50, width: 6, valueWidth: 5 }

describe.each(deviceCases)('attendCached on $title', (device) => {
  beforeAll(() => useCase(device))

  it('follows its definition', () => {
    const shapes = fc.record({
      batch: fc.integer({ min: 1, max: 3 }),
      groups: fc.integer({ min: 1, max: 3 }),
      perGroup: fc.integer({ min: 1, max: 8 }),
      queries: fc.integer({ min: 1, max: 20 }),
      keys: fc.integer({ min: 1, max: 600 }),
      width: fc.integer({ min: 1, max: 40 }),
      valueWidth: fc.integer({ min: 1, max: 40 }),
    })
    const options = fc.record(
      {
        window: fc.integer({ min: 1, max: 300 }),
        softcap: fc.constantFrom(0.7, 5),
        scale: fc.constantFrom(0.3, -0.5),
        causal: fc.constant(false),
      },
      { requiredKeys: [] },
    )
    const extras = fc.record({ sinks: fc.boolean(), bias: fc.boolean(), mask: fc.boolean(), seed: fc.nat(1000) })
    fc.assert(
      fc.property(shapes, options, extras, ({ perGroup, ...shape }, options, { sinks, bias, mask, seed }) => {
        const sizes = { ...shape, heads: shape.groups * perGroup }
        const { batch, heads, keys } = sizes
        tf.tidy(() => {
          const { q, k, v } = tensors(sizes, seed)
          const lengths = Int32Array.from(numbers(batch, seed + 4), (x) => Math.round(((x + 1) / 2) * keys))
          const shape = [1, heads, 1, keys]
          const hides = numbers(heads * keys, seed + 6).map((x) => Number(x > -0.3))
          const given = {
            ...options,
            ...(sinks && { sinks: tf.tensor1d(numbers(heads, seed + 5)) }),
            ...(bias && { bias: tf.tensor(numbers(heads * keys, seed + 7), shape) }),
            ...(mask && { mask: tf.tensor(hides, shape, 'bool') }),
          }
          const got = attendCached(q, k, v, tf.tensor1d(lengths, 'int32'), given)
          const { window = Infinity, causal = true, scale, softcap } = options
          const exact = exactAttention({
            sizes,
            q: q.dataSync(),
            k: k.dataSync(),
            v: v.dataSync(),
            lengths,
            ...(scale && { scale }),
            ...(softcap && { softcap }),
            ...(sinks && { sinks: numbers(heads, seed + 5) }),
            ...(bias && { bias: { shape, values: numbers(heads * keys, seed + 7) } }),
            ...(mask && { mask: { shape, values: hides } }),
            sees: (position, key) => (key <= position || (!causal && window === Infinity)) && key > position - window,
          })
          expectClose(got.output.dataSync(), exact.output)
          expectClose(got.logSumExp.dataSync(), exact.logSumExp)
        })
      }),
      { numRuns: hasKernel('XAttendCached') ? 80 : 10 },
    )
  })

  it('gives what attention over the whole sequence gives, in whatever pieces', () => {
    tf.tidy(() => {
      const all = { batch: 1, heads: 4, groups: 2, queries: 40, keys: 40, width: 8, valueWidth: 4 }
      const { q, k, v } = tensors(all, 3)
      const whole = attend(q, k, v, { causal: true }).output
      for (const size of [1, 3, 40]) {
        const pieces: tf.Tensor4D[] = []
        for (let from = 0; from < 40; from += size) {
          const count = Math.min(size, 40 - from)
          pieces.push(attendCached(tf.slice(q, [0, 0, from, 0], [-1, -1, count, -1]), k, v, from + count).output)
        }
        expectClose(tf.concat(pieces, 2).dataSync(), whole.dataSync())
      }
    })
  })

  it('never looks beyond the length', () => {
    tf.tidy(() => {
      const { q, k, v } = tensors({ ...sizes, batch: 1 }, 1)
      const filled = tf.reshape(tf.less(tf.range(0, 50), 21), [1, 1, 50, 1])
      const spoil = (x: tf.Tensor4D): tf.Tensor4D => tf.where(filled, x, NaN)
      const expected = attendCached(q, k, v, 21)
      expectClose(attendCached(q, spoil(k), spoil(v), 21).output.dataSync(), expected.output.dataSync())
      const alone = attend(q, tf.slice(k, [0, 0, 0, 0], [1, 2, 21, 6]), tf.slice(v, [0, 0, 0, 0], [1, 2, 21, 5]), {
        causal: true,
      })
      expectClose(expected.output.dataSync(), alone.output.dataSync())
    })
  })

  it('takes lengths below 0 as 0 and above the capacity as the capacity', () => {
    tf.tidy(() => {
      const { q, k, v } = tensors(sizes, 1)
      const result = (...lengths: number[]): tf.Tensor =>
        attendCached(q, k, v, tf.tensor1d(lengths, 'int32'), { window: 7 }).output
      expectClose(result(-3, 1000).dataSync(), result(0, 50).dataSync())
      expect(Array.from(result(-3, 1000).dataSync().subarray(0, 60))).toEqual(Array.from({ length: 60 }, () => 0))
    })
  })

  it('lets no gradient through', () => {
    tf.tidy(() => {
      const { q, k, v } = tensors(sizes, 1)
      const f = (x: tf.Tensor): tf.Scalar =>
        tf.add(tf.sum(attendCached(x as tf.Tensor4D, k, v, 9).output), tf.sum(tf.mul(x, 3)))
      expectClose(tf.grad(f)(q).dataSync(), new Float32Array(q.size).fill(3))
    })
  })

  it('leaks nothing', () => {
    const { q, k, v } = tensors(sizes, 1)
    const lengths = tf.tensor1d([7, 50], 'int32')
    expectNoLeaks(() => Object.values(attendCached(q, k, v, lengths, { window: 20 })), 300)
    expectNoLeaks(() => Object.values(attendCached(q, k, v, 9)), 300)
    tf.dispose([q, k, v, lengths])
  })

  it('refuses what does not fit', () => {
    tf.tidy(() => {
      const { q, k, v } = tensors(sizes, 1)
      expect(() => attendCached(q, k, v, 51)).toThrow(/lengths: expected at most the capacity/)
      expect(() => attendCached(q, k, v, 1.5)).toThrow(/lengths/)
      expect(() => attendCached(q, k, v, tf.tensor1d([1], 'int32'))).toThrow(/lengths: expected shape \[2\]/)
      expect(() => attendCached(q, k, v, tf.tensor1d([1, 2]))).toThrow(/lengths: expected int32, got float32/)
    })
  })
})

describe.each(deviceCases.slice(0, 2))('mergeAttention on $title', (device) => {
  beforeAll(() => useCase(device))

  const part = (k: tf.Tensor4D, from: number, until: number): tf.Tensor4D =>
    tf.slice(k, [0, 0, from, 0], [-1, -1, until - from, -1])

  it('joins parts of the keys, empty ones too', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 4 }), fc.nat(100), (inner, seed) => {
        const cuts = [0, ...inner.sort((a, b) => a - b), 50]
        tf.tidy(() => {
          const { q, k, v } = tensors(sizes, seed)
          const whole = attend(q, k, v)
          const parts = cuts.slice(1).map((until, i) => attend(q, part(k, cuts[i]!, until), part(v, cuts[i]!, until)))
          const merged = mergeAttention(parts)
          expectClose(merged.output.dataSync(), whole.output.dataSync())
          expectClose(merged.logSumExp.dataSync(), whole.logSumExp.dataSync())
        })
      }),
      { numRuns: 20 },
    )
  })

  it('of nothing is nothing, with gradients of 0', () => {
    tf.tidy(() => {
      const { q, k, v } = tensors(sizes, 1)
      const mask = tf.zeros([1, 1, 1, 50], 'bool')
      const f = (x: tf.Tensor): tf.Tensor => {
        const none = attend(x as tf.Tensor4D, k, v, { mask })
        return tf.sum(mergeAttention([none, none]).output)
      }
      expect(f(q).dataSync()[0]).toBe(0)
      expectClose(tf.grad(f)(q).dataSync(), new Float32Array(q.size))
    })
  })

  it('passes gradients on as if the keys had never been apart', () => {
    tf.tidy(() => {
      const { q, k, v } = tensors(sizes, 2)
      const apart = (...x: tf.Tensor[]): tf.Tensor => {
        const [a, b, c] = x as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]
        const { output, logSumExp } = mergeAttention([
          attend(a, part(b, 0, 13), part(c, 0, 13)),
          attend(a, part(b, 13, 50), part(c, 13, 50)),
        ])
        return tf.add(tf.sum(tf.square(output)), tf.sum(logSumExp))
      }
      const whole = (...x: tf.Tensor[]): tf.Tensor => {
        const { output, logSumExp } = attend(x[0] as tf.Tensor4D, x[1] as tf.Tensor4D, x[2] as tf.Tensor4D)
        return tf.add(tf.sum(tf.square(output)), tf.sum(logSumExp))
      }
      const expected = tf.grads(whole)([q, k, v])
      tf.grads(apart)([q, k, v]).forEach((gradient, i) => expectClose(gradient.dataSync(), expected[i]!.dataSync()))
    })
  })

  it('refuses parts that do not fit', () => {
    expect(() => mergeAttention([])).toThrow(/parts/)
    tf.tidy(() => {
      const parts = [2, 3].map((n) => ({ output: tf.zeros([1, 1, n, 4]), logSumExp: tf.zeros([1, 1, n]) }))
      expect(() => mergeAttention(parts as never)).toThrow(/parts\[1\]\.output/)
    })
  })
})
