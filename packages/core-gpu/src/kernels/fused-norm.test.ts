import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { groupNorm } from './group-norm/group-norm.ts'
import { layerNorm } from './layer-norm/layer-norm.ts'
import { rmsNorm } from './rms-norm/rms-norm.ts'
import { deviceCases, expectClose, expectNoLeaks, numbers, useCase } from './testing.ts'

const epsilon = 1e-3

interface Settings {
  readonly scale?: tf.Tensor | null
  readonly offset?: tf.Tensor | null
}

interface Case {
  readonly name: string
  apply(x: tf.Tensor, settings: Settings): tf.Tensor
  /** whether an element's statistics are those of its group, not of its row */
  readonly grouped: boolean
  readonly centred: boolean
}

const groups = 2
const cases: Case[] = [
  {
    name: 'layerNorm',
    apply: (x, settings) => layerNorm(x, { ...settings, epsilon }),
    grouped: false,
    centred: true,
  },
  {
    name: 'rmsNorm',
    apply: (x, { scale = null }) => rmsNorm(x, { scale, epsilon }),
    grouped: false,
    centred: false,
  },
  {
    name: 'groupNorm',
    apply: (x, settings) => groupNorm(x, groups, { ...settings, epsilon }),
    grouped: true,
    centred: true,
  },
]

/** Value and gradients by the definition, in float64; x [B, P, C]. */
function expected(
  [B, P, C]: readonly [number, number, number],
  { grouped, centred }: Case,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  scale: ArrayLike<number> | null,
  offset: ArrayLike<number> | null,
): { y: number[]; dx: number[]; dScale: number[]; dOffset: number[] } {
  const sets = new Map<string, number[]>()
  for (let b = 0; b < B; b++)
    for (let p = 0; p < P; p++)
      for (let c = 0; c < C; c++) {
        const id = grouped ? `${b}, ${Math.floor(c / (C / groups))}` : `${b}, ${p}`
        const elements = sets.get(id)
        if (elements) elements.push((b * P + p) * C + c)
        else sets.set(id, [(b * P + p) * C + c])
      }
  const y = Array.from<number>({ length: x.length })
  const dx = Array.from<number>({ length: x.length })
  const dScale = Array.from<number>({ length: C }).fill(0)
  const dOffset = Array.from<number>({ length: C }).fill(0)
  for (const elements of sets.values()) {
    const average = (f: (i: number) => number): number => elements.reduce((s, i) => s + f(i), 0) / elements.length
    const mean = centred ? average((i) => x[i]!) : 0
    const inverse = 1 / Math.sqrt(average((i) => (x[i]! - mean) ** 2) + epsilon)
    const hat = (i: number): number => (x[i]! - mean) * inverse
    const g = (i: number): number => dy[i]! * (scale?.[i % C] ?? 1)
    const meanG = centred ? average(g) : 0
    const meanGHat = average((i) => g(i) * hat(i))
    for (const i of elements) {
      y[i] = hat(i) * (scale?.[i % C] ?? 1) + (offset?.[i % C] ?? 0)
      dx[i] = inverse * (g(i) - meanG - hat(i) * meanGHat)
      dScale[i % C]! += dy[i]! * hat(i)
      dOffset[i % C]! += dy[i]!
    }
  }
  return { y, dx, dScale, dOffset }
}

describe.each(deviceCases)('norms on $title', (device) => {
  beforeAll(() => useCase(device))

  describe.each(cases)('$name', (norm) => {
    it('agrees with float64, value and gradients, with and without parameters', () => {
      fc.assert(
        fc.property(
          fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 19 })),
          fc.boolean(),
          fc.boolean(),
          fc.nat(100),
          ([B, P, half], hasScale, hasOffset, seed) => {
            const C = norm.grouped ? half * groups : half
            const shape = [B, P, C] as const
            const x = numbers(B * P * C, seed).map((v) => 3 * v + 1)
            const dy = numbers(B * P * C, seed + 1)
            const withOffset = hasOffset && norm.centred
            const scale = hasScale ? numbers(C, seed + 2) : null
            const offset = withOffset ? numbers(C, seed + 3) : null
            const want = expected(shape, norm, x, dy, scale, offset)
            tf.tidy(() => {
              const given = [tf.tensor(x, [...shape]), scale && tf.tensor1d(scale), offset && tf.tensor1d(offset)]
              const inputs = given.filter((tensor): tensor is tf.Tensor => tensor !== null)
              const f = (...[input, ...rest]: tf.Tensor[]): tf.Tensor =>
                norm.apply(input!, {
                  scale: hasScale ? rest.shift()! : null,
                  offset: withOffset ? rest.shift()! : null,
                })
              const y = f(...inputs)
              expect(y.shape).toEqual([...shape])
              expectClose(y.dataSync(), want.y)
              const [dx, ...rest] = tf.grads(f)(inputs, tf.tensor(dy, [...shape]))
              expectClose(dx!.dataSync(), want.dx, 3e-5)
              if (hasScale) expectClose(rest.shift()!.dataSync(), want.dScale)
              if (withOffset) expectClose(rest.shift()!.dataSync(), want.dOffset)
            })
          },
        ),
        { numRuns: 40 },
      )
    })

    it('agrees over many rows, far from zero', () => {
      const shape = [3, 1500, 6] as const
      const x = numbers(3 * 1500 * 6, 1).map((v) => v + 10)
      const dy = numbers(3 * 1500 * 6, 2)
      const [scale, offset] = [numbers(6, 3), norm.centred ? numbers(6, 4) : null]
      const want = expected(shape, norm, x, dy, scale, offset)
      tf.tidy(() => {
        const f = (input: tf.Tensor, s: tf.Tensor): tf.Tensor =>
          norm.apply(input, { scale: s, offset: offset && tf.tensor1d(offset) })
        const inputs = [tf.tensor(x, [...shape]), tf.tensor1d(scale)] as [tf.Tensor, tf.Tensor]
        expectClose(f(...inputs).dataSync(), want.y, 3e-5)
        const [dx, dScale] = tf.grads(f)(inputs, tf.tensor(dy, [...shape])) as [tf.Tensor, tf.Tensor]
        expectClose(dx.dataSync(), want.dx, 1e-4)
        expectClose(dScale.dataSync(), want.dScale, 1e-4)
      })
    })

    it('can be differentiated twice', () => {
      tf.tidy(() => {
        const values = numbers(24, 1)
        const weights = tf.tensor2d(numbers(24, 2), [3, 8])
        const scale = tf.tensor1d(numbers(8, 3))
        const inner = (t: tf.Tensor): tf.Tensor => tf.sum(tf.mul(norm.apply(t, { scale }), weights))
        const slope = (t: tf.Tensor): tf.Scalar => tf.sum(tf.square(tf.grad(inner)(t)))
        const second = tf
          .grad(slope)(tf.tensor2d(values, [3, 8]))
          .dataSync()
        const step = 3e-3
        for (const i of [0, 5, 23]) {
          const at = (shift: number): number =>
            slope(tf.tensor2d(values.with(i, values[i]! + shift), [3, 8])).dataSync()[0]!
          const measured = (at(step) - at(-step)) / (2 * step)
          expect(Math.abs(second[i]! - measured)).toBeLessThan(0.03 * Math.max(1, ...second.map(Math.abs)))
        }
      })
    })

    it('takes no rows at all', () => {
      tf.tidy(() => {
        expect(norm.apply(tf.zeros([0, 4]), { scale: tf.ones([4]) }).shape).toEqual([0, 4])
      })
    })

    it('leaks nothing', () => {
      const [x, scale] = [tf.tensor2d(numbers(40), [10, 4]), tf.ones([4])]
      const gradients = tf.grads((a, s) => tf.sum(tf.square(norm.apply(a!, { scale: s! }))))
      expectNoLeaks(() => [norm.apply(x, { scale }), ...gradients([x, scale])], 500)
      tf.dispose([x, scale])
    })

    it('refuses what does not fit', () => {
      tf.tidy(() => {
        expect(() => norm.apply(tf.ones([2, 4], 'int32'), {})).toThrow(/x: expected float32, got int32/)
        expect(() => norm.apply(tf.ones([2, 4]), { scale: tf.ones([3]) })).toThrow(/scale: expected shape \[4\]/)
        expect(() => norm.apply(tf.scalar(1), {})).toThrow(/x: expected/)
      })
    })
  })

  it('groups must divide the channels', () => {
    tf.tidy(() => {
      expect(() => groupNorm(tf.ones([2, 3]), 2)).toThrow(/x: expected channels in a multiple of groups/)
    })
  })
})
