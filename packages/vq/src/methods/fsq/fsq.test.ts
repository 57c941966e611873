import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, expectSame } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkFsq, checkFsqTan } from '../../golden/finite-scalar.ts'
import { goldenCases } from '../../golden/golden.ts'
import { makeBound } from '../../scalar/bounds.ts'
import { mixedRadix } from '../../scalar/mixed-radix.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { fsq, type FsqOptions } from './fsq.ts'

describe.each(['cpu', 'wasm'] as const)('fsq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: FsqOptions[] = [
    { levels: [5, 4, 3] },
    { levels: [4, 5], bound: 'tan', codebooks: 2 },
    { levels: [2, 2, 3], bound: 'symmetric', normalise: true },
    { levels: [4, 5], bound: 'symmetric', squash: 'clamp', noise: 0.5 },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(fsq, {
      options: () => options,
      badOptions: {
        levels: [[], [1, 4], [3.5], 8, [70000, 70000]],
        bound: ['none'],
        codebooks: [0],
        normalise: ['batch'],
        squash: ['relu'],
        noise: [-0.1, 1.1],
        rotate: [1],
      },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('fsq'))('has the values and gradients of the reference: $id', checkFsq)

  it.each(goldenCases('fsq-tan'))('has the paper’s own bound: $id', checkFsqTan)

  it('has the gradient of the bound without the rounding', async () => {
    const z = key(3).normal([6, 3])
    for (const bound of ['atanh', 'tan', 'symmetric'] as const) {
      const form = makeBound(bound, [8, 5, 3])
      await checkGradients(({ x }) => form.value(form.position(x)), { x: z })
      const quantizer = fsq({ levels: [8, 5, 3], bound })
      const [smooth, rounded] = [
        tf.grad((x: tf.Tensor) => tf.sum(form.value(form.position(x))))(z),
        tf.grad((x: tf.Tensor) => tf.sum(quantizer.quantize(x).quantized))(z),
      ]
      const [a, b] = [await smooth.data(), await rounded.data()]
      a.forEach((value, i) => expect(b[i]).toBeCloseTo(value, 5))
      tf.dispose([smooth, rounded])
    }
    z.dispose()
  })

  it('keeps every index in range far out and with very many levels', async () => {
    for (const levels of [
      [1201, 3],
      [8, 8],
      [3000, 2001],
    ]) {
      const quantizer = fsq({ levels })
      const z = tf.tensor2d([
        [20, 20],
        [-20, -20],
        [1e6, -1e6],
        [-1e6, 1e6],
      ])
      const { indices, quantized, loss } = quantizer.quantize(z)
      const decoded = quantizer.decode(indices)
      expect(Math.max(...(await indices.data()))).toBe(quantizer.codebookSize - 1)
      expect(Math.min(...(await indices.data()))).toBe(0)
      await expectSame('decoded', { decoded }, { decoded: quantized })
      tf.dispose([z, indices, quantized, loss, decoded])
    }
  })

  it('numbers its codes without loss, beyond what float32 can count', async () => {
    const levels = [1000, 1000, 1000]
    const radix = mixedRadix(levels)
    const numbers = [0, 2 ** 24 + 1, 2 ** 29 + 12345, 999_999_999]
    const digits = radix.decode(tf.tensor1d(numbers, 'int32'))
    expect(Array.from(await radix.encode(digits).data())).toEqual(numbers)
    expect(() => mixedRadix([65536, 65536])).toThrow(/^levels/)
  })

  it('mixed radix numbers and digits are one to one', async () => {
    const lists = fc.array(fc.integer({ min: 2, max: 9 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(lists, async (levels) => {
        const radix = mixedRadix(levels)
        const all = tf.range(0, Math.min(radix.size, 500), 1, 'int32')
        const digits = radix.decode(all)
        const back = radix.encode(digits)
        expect(await back.data()).toEqual(await all.data())
        expect(await tf.min(tf.sub(levels, digits)).array()).toBeGreaterThanOrEqual(1)
        tf.dispose([all, digits, back])
      }),
      { numRuns: 20 },
    )
  })

  it('is saved from saturation by normalising its input', async () => {
    const z = key(1).normal([2000, 2], { mean: 30, standardDeviation: 4 })
    const used = async (options: FsqOptions): Promise<number> => {
      const quantizer = fsq(options)
      for (let step = 0; step < 80; step++) tf.dispose(quantizer.quantize(z, { training: true }))
      const { indices, ...rest } = quantizer.quantize(z)
      const codes = new Set(await indices.data()).size
      tf.dispose([indices, rest])
      quantizer.dispose()
      return codes / 64
    }
    expect(await used({ levels: [8, 8] })).toBeLessThan(0.05)
    expect(await used({ levels: [8, 8], normalise: true })).toBeGreaterThan(0.9)
    z.dispose()
  })

  it('cuts off at ±1 where numbers are clamped, and keeps their gradient within', async () => {
    const z = tf.tensor2d([[-3], [-0.9], [0.2], [0.9], [3]])
    for (const bound of ['symmetric', 'atanh'] as const) {
      const quantizer = fsq({ levels: [5], bound, squash: 'clamp' })
      expect(await quantizer.quantize(z).indices.data()).toEqual(Int32Array.from([0, 0, 2, 4, 4]))
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(quantizer.quantize(x).quantized))(z)
      const [below, , inside, , above] = await gradient.data()
      expect([below, above]).toEqual([0, 0])
      expect(inside).toBeCloseTo(1, 2)
    }
    // An even number of levels keeps 0 at 0 without tanh too.
    const { quantized } = fsq({ levels: [4], squash: 'clamp' }).quantize(tf.zeros([1, 1]))
    expect((await quantized.data())[0]).toBe(0)
  })

  it('moves as many values as asked by noise, in training alone, and leaves indices as they are', async () => {
    const z = key(11).normal([4000, 1])
    const quantizer = fsq({ levels: [5], bound: 'symmetric', noise: 0.25 })
    const [plain, noisy] = [quantizer.quantize(z), quantizer.quantize(z, { training: true, key: key(12) })]
    expect(await noisy.indices.data()).toEqual(await plain.indices.data())
    const [a, b] = [await plain.quantized.data(), await noisy.quantized.data()]
    const moved = Array.from(a, (value, i) => Math.abs(value - b[i]!)).filter((distance) => distance > 0)
    // Of those at the ends, half are moved outwards and clamped back.
    expect(moved.length / 4000).toBeGreaterThan(0.17)
    expect(moved.length / 4000).toBeLessThan(0.28)
    expect(Math.max(...moved)).toBeLessThanOrEqual(0.5)
    expect(Math.max(...Array.from(b, Math.abs))).toBeLessThanOrEqual(1)
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
    expect(() => fsq({ levels: [5], noise: 0.1 })).toThrow(/^noise/)
  })

  it('turns the space and back', async () => {
    const quantizer = fsq({ levels: [5, 5, 5], rotate: true, key: key(13) })
    const z = key(14).normal([20, 3])
    const { quantized, indices } = quantizer.quantize(z)
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(quantizer.quantize(x).quantized))(z)
    expect((await gradient.data()).every((value) => Number.isFinite(value) && value !== 0)).toBe(true)
    // The same as turning by hand.
    const matrix = quantizer.state()['rotation.matrix'] as tf.Tensor2D
    const turned = tf.matMul(z as tf.Tensor2D, matrix)
    const byHand = fsq({ levels: [5, 5, 5] }).quantize(turned)
    expect(await indices.data()).toEqual(await byHand.indices.data())
    const unit = await tf.matMul(matrix, matrix, false, true).data()
    unit.forEach((value, i) => expect(value).toBeCloseTo(i % 4 === 0 ? 1 : 0, 5))
  })

  it('refuses two levels where the bound has no place for them', () => {
    expect(() => fsq({ levels: [2, 4] })).toThrow(/^bound/)
  })
})
