import * as tf from '@tensorflow/tfjs-core'
import { key, Linear, useBackend } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  alibiSlopes,
  angleTables,
  dynamicNtkScaling,
  isPositionEncoding,
  linearScaling,
  llama3Scaling,
  none,
  ntkScaling,
  rope,
  scaledFrequencies,
  toHalfLayout,
  toInterleavedLayout,
  voRope,
  yarn,
} from '../index.ts'
import { cosineAndSine } from './rope/angles.ts'

/** pi to 60 digits after the point. */
const digits = 60n
const one = 10n ** digits
const pi = 3141592653589793238462643383279502884197169399375105820974944n

/** A float64 as a fixed-point number. */
function fixed(x: number): bigint {
  let exponent = 0
  while (!Number.isInteger(x)) {
    x *= 2
    exponent++
  }
  return (BigInt(x) * one) / 2n ** BigInt(exponent)
}

/** The angle of a position less all whole turns, by whole numbers of 60 digits. */
function exactAngle(position: number, frequency: number): number {
  const turns = (BigInt(position) * fixed(frequency)) % (2n * pi)
  return Number((turns * 10n ** 17n) / one) / 1e17
}

describe('angles', () => {
  it('are right wherever float64 names a position, however far', () => {
    const positions = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 100_000 })) // prettier-ignore
    const frequencies = fc.double({ min: 1e-6, max: 1, noNaN: true })
    fc.assert(
      fc.property(positions, frequencies, (position, frequency) => {
        const [c, s] = cosineAndSine(position, frequency)
        const angle = exactAngle(position, frequency)
        expect(Math.abs(c - Math.cos(angle))).toBeLessThan(1e-12)
        expect(Math.abs(s - Math.sin(angle))).toBeLessThan(1e-12)
      }),
      { numRuns: 300 },
    )
  })

  it('would be wrong by the rounding of the product alone', () => {
    // What makes the test above able to fail.
    const [position, frequency] = [2 ** 52 + 1, 0.7498942093324559]
    expect(Math.abs(Math.cos(position * frequency) - Math.cos(exactAngle(position, frequency)))).toBeGreaterThan(1e-3)
  })
})

describe('scalings', () => {
  const plain = scaledFrequencies(16, 10_000)

  it('of Llama 3.1 keep short waves, slow long ones, and blend between', () => {
    const scaled = scaledFrequencies(128, 500_000, llama3Scaling())
    const old = scaledFrequencies(128, 500_000)
    old.forEach((frequency, i) => {
      const wave = (2 * Math.PI) / frequency
      if (wave < 8192 / 4) expect(scaled[i]).toBe(frequency)
      else if (wave > 8192) expect(scaled[i]).toBe(frequency / 8)
      else {
        const t = (8192 / wave - 1) / (4 - 1)
        expect(scaled[i]).toBeCloseTo(((1 - t) * frequency) / 8 + t * frequency, 15)
      }
    })
    expect(new Set(Array.from(scaled, (f, i) => Math.sign(f - old[i]!))).size).toBe(2)
  })

  it('change nothing at factor 1', () => {
    for (const scaling of [
      linearScaling(1),
      ntkScaling(1),
      yarn({ factor: 1, originalLength: 2048 }),
      llama3Scaling({ factor: 1 }),
      dynamicNtkScaling({ factor: 4, originalLength: 64, length: 10 }),
    ])
      // prettier-ignore
      scaledFrequencies(16, 10_000, scaling).forEach((frequency, i) => expect(frequency).toBeCloseTo(plain[i]!, 14))
    expect(scaledFrequencies(2, 10_000, ntkScaling(4))).toEqual(Float64Array.of(1))
  })

  it('of YaRN go into the tables or into the scores: the same where all turns', async () => {
    await useBackend('cpu')
    const options = { factor: 8, originalLength: 64, truncate: false }
    const [tables, scores] = (['tables', 'scores'] as const).map((growth) =>
      rope({ scaling: yarn({ ...options, growth }) }),
    )
    const x = key(1).normal<tf.Rank.R4>([1, 1, 3, 8])
    const product = (encoding: typeof tables): number => {
      const [a, b] = [encoding!.rotate!(x, [1, 2, 3]), encoding!.rotate!(x, [7, 5, 3])]
      return tf.sum(tf.mul(a, b)).dataSync()[0]! * (encoding!.scoreScale ?? 1)
    }
    expect(product(tables)).toBeCloseTo(product(scores), 3)
  })

  it('refuse what is out of range, by name', () => {
    expect(() => linearScaling(0.5)).toThrow(/^factor/)
    expect(() => ntkScaling(Number.NaN)).toThrow(/^factor/)
    expect(() => dynamicNtkScaling({ factor: 2, originalLength: 0, length: 1 })).toThrow(/^originalLength/)
    expect(() => dynamicNtkScaling({ factor: 2, originalLength: 1, length: 0 })).toThrow(/^length/)
    const good = { factor: 2, originalLength: 64 }
    expect(() => yarn({ ...good, originalLength: 1.5 })).toThrow(/^originalLength/)
    expect(() => yarn({ ...good, betaSlow: 0 })).toThrow(/^betaSlow/)
    expect(() => yarn({ ...good, betaFast: 0.5 })).toThrow(/^betaFast/)
    expect(() => yarn({ ...good, mscale: -1 })).toThrow(/^mscale/)
    expect(() => yarn({ ...good, growth: 'both' as 'tables' })).toThrow(/^growth/)
    expect(() => llama3Scaling({ lowFrequencyFactor: 0 })).toThrow(/^lowFrequencyFactor/)
    expect(() => llama3Scaling({ highFrequencyFactor: 1 })).toThrow(/^highFrequencyFactor/)
    expect(() => llama3Scaling({ factor: 0 })).toThrow(/^factor/)
    expect(() => voRope({ scaling: yarn(good) })).toThrow(/^scaling/)
    expect(() => alibiSlopes(0)).toThrow(/^heads/)
  })
})

describe.each(['cpu', 'wasm'] as const)('rope on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('turns each sequence by positions of its own', async () => {
    const x = key(1).normal<tf.Rank.R4>([2, 3, 4, 6])
    const encoding = rope({ dims: 4, layout: 'interleaved', at: 'last' })
    const lists = [[0, 5, 2, 9], [7, 7, 2 ** 35, 1]] // prettier-ignore
    const both = encoding.rotate!(x, lists)
    const each = tf.concat(tf.split(x, 2, 0).map((part, i) => encoding.rotate!(part as tf.Tensor4D, lists[i]!)), 0) // prettier-ignore
    expect(await both.data()).toEqual(await each.data())
    const back = encoding.rotate!(both, lists, { inverse: true })
    back.dataSync().forEach((value, i) => expect(value).toBeCloseTo(x.dataSync()[i]!, 5))
    expect(await countLeaks(() => encoding.rotate!(x, lists))).toBe(0)
  })

  it('gives the same scores in either layout, weights reordered', async () => {
    const [heads, width, dims] = [3, 8, 6]
    const q = new Linear(5, heads * width, { key: key(1) })
    const k = new Linear(5, heads * width, { key: key(2) })
    const x = key(3).normal([1, 4, 5])
    const scores = (layout: 'half' | 'interleaved', at: 'first' | 'last'): tf.Tensor => {
      const of = (layer: Linear): tf.Tensor4D => {
        const y = tf.transpose(tf.reshape(layer.forward(x), [1, 4, heads, width]), [0, 2, 1, 3]) as tf.Tensor4D
        return rope({ layout, dims, at }).rotate!(y, [0, 3, 11, 12])
      }
      return tf.matMul(of(q), of(k), false, true)
    }
    for (const at of ['first', 'last'] as const) {
      const before = scores('interleaved', at).dataSync()
      const original = [q, k].map((layer) => layer.weight.clone())
      for (const layer of [q, k]) {
        layer.weight.assign(toHalfLayout(layer.weight as tf.Tensor, { heads, dims, at }))
        layer.bias!.assign(toHalfLayout(layer.bias! as tf.Tensor, { heads, dims, at }))
      }
      scores('half', at).dataSync().forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 4)) // prettier-ignore
      for (const [i, layer] of [q, k].entries()) {
        layer.weight.assign(toInterleavedLayout(layer.weight as tf.Tensor, { heads, dims, at }))
        layer.bias!.assign(toInterleavedLayout(layer.bias! as tf.Tensor, { heads, dims, at }))
        expect(layer.weight.dataSync()).toEqual(original[i]!.dataSync())
      }
    }
  })

  it('refuses what does not fit, by name', () => {
    const x = tf.zeros([1, 1, 2, 4]) as tf.Tensor4D
    expect(() => rope({ theta: 0 })).toThrow(/^theta/)
    expect(() => rope({ layout: 'pairs' as 'half' })).toThrow(/^layout/)
    expect(() => rope({ at: 'middle' as 'last' })).toThrow(/^at/)
    expect(() => rope({ dims: 3 })).toThrow(/^dims/)
    expect(() => rope({ dims: 6 }).rotate!(x, [0, 1])).toThrow(/^dims: expected at most the width 4/)
    expect(() => rope().rotate!(x, [0])).toThrow(/^positions: expected \[2\] or \[1\]\[2\]/)
    expect(() => rope().rotate!(x, [[0, 1], [0, 1]])).toThrow(/^positions/) // prettier-ignore
    expect(() => rope().rotate!(x, [0, 2 ** 53])).toThrow(/^positions: expected whole numbers within 2\^53/)
    expect(() => angleTables([0.5], [1])).toThrow(/^positions/)
    expect(() => toHalfLayout(tf.zeros([5, 2]), { heads: 2 })).toThrow(/^weight/)
    expect(() => toHalfLayout(tf.zeros([6]), { dims: 3 })).toThrow(/^dims/)
    expect(() => toHalfLayout(1 as unknown as tf.Tensor)).toThrow(/^weight: expected a tensor/)
    expect([none(), rope(), 1, null, {}].map(isPositionEncoding)).toEqual([true, true, false, false, false])
  })
})
