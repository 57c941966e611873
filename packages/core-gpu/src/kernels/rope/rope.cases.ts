import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { checkGradients } from '../../testing/finite-differences.ts'
import { expectGolden, goldenTensor, type GoldenTensor, type Tolerance } from '../../testing/golden.ts'
import { expectClose, expectNoLeaks, numbers } from '../testing.ts'
import golden from './golden/rope.json' with { type: 'json' }
import { rotary, rotaryFrequencies, type RotaryOptions, rotaryTables } from './rope.ts'

interface GoldenCase {
  readonly id: string
  readonly options: RotaryOptions
  readonly theta: number
  readonly rotaryDim: number
  readonly factor: number
  readonly x: GoldenTensor
  readonly positions: readonly number[]
  readonly expected: GoldenTensor
  readonly tolerance: Tolerance
}

const variants: RotaryOptions[] = [
  { layout: 'half' },
  { layout: 'interleaved' },
  { layout: 'half', at: 'last' },
  { layout: 'interleaved', at: 'last', inverse: true },
]

/** Cases of `rotary`, on the current backend. */
export function rotaryCases(): void {
  it.each((golden.cases as GoldenCase[]).map((c): [string, GoldenCase] => [c.id, c]))(
    'gives the recorded numbers: %s',
    async (_, { options, theta, rotaryDim, factor, x, positions, expected, tolerance }) => {
      const frequencies = rotaryFrequencies(rotaryDim, theta).map((f) => f / factor)
      const [input, tables] = [goldenTensor(x), rotaryTables(positions, frequencies)]
      const y = rotary(input, tables, options)
      await expectGolden('y', y, expected, tolerance)
      tf.dispose([input, y, tables.cos, tables.sin])
    },
  )

  it.each(variants)('turns back by the inverse, and keeps lengths: %o', async (options) => {
    const x = tf.tensor3d(numbers(2 * 5 * 11), [2, 5, 11])
    const tables = rotaryTables([3, 0, 100_000, 7, 1], rotaryFrequencies(8))
    const y = rotary(x, tables, options)
    const back = rotary(y, tables, { ...options, inverse: !options.inverse })
    expectClose(await back.data(), await x.data())
    const [before, after] = [tf.sum(tf.square(x), 2), tf.sum(tf.square(y), 2)]
    expectClose(await after.data(), await before.data())
    tf.dispose([x, y, back, before, after, tables.cos, tables.sin])
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 16])('follows its definition for %i pairs', async (pairs) => {
    const [rows, d] = [3, 2 * pairs + 3]
    const x = tf.tensor3d(numbers(2 * rows * d), [2, rows, d])
    const angles = Array.from({ length: rows }, (_, i) => Array.from({ length: pairs }, (_, p) => (i + 1) * (p + 0.3)))
    const table = (f: (angle: number) => number): tf.Tensor2D => tf.tensor2d(angles.map((row) => row.map(f)))
    const tables = { cos: table(Math.cos), sin: table(Math.sin) }
    for (const { layout, at, inverse } of variants) {
      const expected = Float64Array.from(await x.data())
      const start = at === 'last' ? 3 : 0
      for (let row = 0; row < 2 * rows; row++)
        for (let p = 0; p < pairs; p++) {
          const [one, other] = layout === 'interleaved' ? [2 * p, 2 * p + 1] : [p, p + pairs]
          const [i, j] = [row * d + start + one!, row * d + start + other!]
          const [a, b, angle] = [expected[i]!, expected[j]!, angles[row % rows]![p]! * (inverse ? -1 : 1)]
          expected[i] = a * Math.cos(angle) - b * Math.sin(angle)
          expected[j] = a * Math.sin(angle) + b * Math.cos(angle)
        }
      const y = rotary(x, tables, { layout, at, inverse })
      expectClose(await y.data(), expected)
      y.dispose()
    }
    tf.dispose([x, tables.cos, tables.sin])
  })

  it('has a gradient that turns back, and a gradient of that', async () => {
    const x = tf.tensor2d(numbers(3 * 6), [3, 6])
    const tables = rotaryTables(3, rotaryFrequencies(4))
    await checkGradients((inputs) => tf.square(rotary(inputs.x, tables, { layout: 'interleaved', at: 'last' })), { x })
    // |R x|^2 = |x|^2, whose second derivative is 2.
    const first = (t: tf.Tensor): tf.Tensor => tf.grad((s) => tf.sum(tf.square(rotary(s, tables))))(t)
    const second = tf.grad((t) => tf.sum(first(t)))(x)
    expectClose(await second.data(), new Float32Array(18).fill(2))
    tf.dispose([x, second, tables.cos, tables.sin])
  })

  it('leaks nothing', () => {
    const x = tf.tensor2d(numbers(24), [3, 8])
    const tables = rotaryTables(3, rotaryFrequencies(6))
    const gradient = tf.grad((t) => tf.sum(tf.square(rotary(t, tables))))
    expectNoLeaks(() => [rotary(x, tables), gradient(x)], 30)
    tf.dispose([x, tables.cos, tables.sin])
  })

  it('refuses what does not fit', () => {
    const tables = rotaryTables(3, rotaryFrequencies(6))
    const x = tf.zeros([3, 8])
    expect(() => rotary(tf.zeros([4, 8]), tables)).toThrow(/tables\.cos: expected shape \[4, at most 4\], got \[3, 3\]/)
    expect(() => rotary(tf.zeros([3, 5]), tables)).toThrow(/tables\.cos/)
    expect(() => rotary(tf.zeros([3]), tables)).toThrow(/x: expected float32/)
    expect(() => rotary(x, { ...tables, sin: tf.zeros([3, 2]) })).toThrow(/tables\.sin/)
    expect(() => rotary(x, tables, { layout: 'pairs' as 'half' })).toThrow(/options\.layout: .*"pairs"/)
    expect(() => rotary(x, tables, { at: 'middle' as 'last' })).toThrow(/options\.at/)
    expect(() => rotaryFrequencies(5)).toThrow(/dim: expected an even number, got 5/)
    expect(() => rotaryFrequencies(4, 0)).toThrow(/theta/)
    expect(() => rotaryTables([0, NaN], [1])).toThrow(/positions: .*NaN/)
    expect(() => rotaryTables(3, [])).toThrow(/frequencies/)
    tf.dispose([x, tables.cos, tables.sin])
  })
}
