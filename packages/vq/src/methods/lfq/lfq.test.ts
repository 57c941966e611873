import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkLfq } from '../../golden/lookup-free.ts'
import { bitEntropies, meanDistribution } from '../../scalar/entropy.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { lfq, type LfqOptions } from './lfq.ts'

/** Entropies from all 2^d codes, in double precision: of each vector's distribution on average, and of the mean one. */
function entropiesByCodes(logits: number[][], share: number[]): { perVector: number; ofMean: number; mean: number[] } {
  const d = logits[0]!.length
  const entropy = (p: number[]): number => p.reduce((sum, x) => (x > 0 ? sum - x * Math.log(x) : sum), 0)
  const mean = Array.from({ length: 2 ** d }, () => 0)
  let perVector = 0
  logits.forEach((row, i) => {
    const bit = (x: number, on: number): number => 1 / (1 + Math.exp(on === 1 ? -x : x))
    const p = mean.map((_, code) => row.reduce((product, x, j) => product * bit(x, (code >> (d - 1 - j)) & 1), 1))
    perVector += share[i]! * entropy(p)
    p.forEach((x, code) => (mean[code]! += share[i]! * x))
  })
  return { perVector, ofMean: entropy(mean), mean }
}

describe.each(['cpu', 'wasm'] as const)('lfq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: LfqOptions[] = [
    { bits: 4 },
    { bits: 2, codebooks: 3, inverseTemperature: 1, commitment: 0.25, softClamp: 2, scale: 0.5 },
    { bits: 5, spherical: true, inverseTemperature: 2, groupSize: 2, softplusOffset: 5 },
  ]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(lfq, {
      options: () => options,
      badOptions: {
        bits: [0, 2.5, 31],
        codebooks: [0],
        scale: [0, -1],
        entropyWeight: [-1],
        diversity: [-1],
        inverseTemperature: [0],
        groupSize: [0],
        softplusOffset: ['five'],
        commitment: [-1],
        softClamp: [0, 0.1],
        spherical: ['yes'],
        rotate: [1],
      },
      nearest: options.codebooks === undefined,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each([...goldenCases('lfq'), ...goldenCases('bsq-lfq-spherical')])(
    'has the values, losses and gradients of the reference: $id',
    checkLfq,
  )

  it('takes the exact entropies of all codes, without ever listing them per vector', async () => {
    const logits = fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: 1, maxLength: 7 })
    await fc.assert(
      fc.asyncProperty(logits, fc.integer({ min: 1, max: 5 }), fc.nat(), async (row, n, seed) => {
        const d = row.length
        const noise = key(seed).normal([n, d])
        const x = tf.add(noise, row) as tf.Tensor2D
        const share = tf.softmax(key(seed + 1).normal([n])) as tf.Tensor1D
        const { perVector, ofMean } = bitEntropies(x, share, d)
        const mean = meanDistribution(x, share, d)
        const expected = entropiesByCodes((await x.array()) as number[][], Array.from(await share.data()))
        expect((await perVector.data())[0]).toBeCloseTo(expected.perVector, 4)
        expect((await ofMean.data())[0]).toBeCloseTo(expected.ofMean, 4)
        const values = await mean.data()
        expected.mean.forEach((p, code) => expect(values[code]).toBeCloseTo(p, 5))
        tf.dispose([noise, x, share, perVector, ofMean, mean])
      }),
      { numRuns: 30 },
    )
  })

  it('bounds the entropy of the mean from above where bits are taken in groups, equal when they are independent', async () => {
    const x = key(1).normal([50, 7]) as tf.Tensor2D
    const share = tf.fill([50], 1 / 50) as tf.Tensor1D
    const entropy = async (size: number): Promise<number> => (await bitEntropies(x, share, size).ofMean.data())[0]!
    const [all, three, one] = [await entropy(7), await entropy(3), await entropy(1)]
    expect(three).toBeGreaterThan(all)
    expect(one).toBeGreaterThan(three)
    const single = tf.slice(x, [0, 0], [1, 7])
    const [whole, split] = [7, 2].map((size) => bitEntropies(single, tf.tensor1d([1]), size).ofMean)
    expect((await whole!.data())[0]).toBeCloseTo((await split!.data())[0]!, 4)
  })

  it('has the finite differences of its losses as gradients', async () => {
    const z = key(2).normal([9, 6])
    for (const options of [
      { bits: 6, inverseTemperature: 0.5, groupSize: 4 },
      { bits: 3, codebooks: 2, inverseTemperature: 0.7, spherical: true, softplusOffset: 1 },
    ]) {
      const quantizer = lfq({ ...options, entropyWeight: 1 })
      await checkGradients(({ x }) => quantizer.quantize(x, { training: true }).loss, { x: z })
    }
    z.dispose()
  })

  it('needs memory of neither vectors times codes, for many bits', () => {
    const quantizer = lfq({ bits: 18, inverseTemperature: 1 })
    const z = tf.variable(key(3).normal([2048, 18]))
    let most = 0
    const before = tf.memory().numBytes
    const { gradients, loss } = valueAndGradients({ z }, () => {
      const out = quantizer.quantize(z, { training: true })
      most = tf.memory().numBytes - before
      return { loss: out.loss }
    })
    // 2048 x 2^18 floats would be 2 GiB.
    expect(most).toBeLessThan(2 ** 26)
    tf.dispose([z, gradients, loss])
  })

  it('maps zero to the lower code, and has all its codes', async () => {
    const quantizer = lfq({ bits: 3 })
    const { indices, quantized } = quantizer.quantize(tf.zeros([1, 3]))
    expect(await indices.data()).toEqual(Int32Array.from([0]))
    expect(await quantized.data()).toEqual(Float32Array.from([-1, -1, -1]))
    const codes = (await quantizer.codebook().array()) as number[][]
    expect(codes[1]).toEqual([-1, -1, 1])
    expect(codes[4]).toEqual([1, -1, -1])
  })

  it('turns the space and back: codes are a rotated cube, and decoding gives what was quantized', async () => {
    const quantizer = lfq({ bits: 4, codebooks: 2, rotate: true, key: key(5) })
    const z = key(6).normal([10, 8])
    const { quantized, indices } = quantizer.quantize(z)
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    const [codes, values, chosen] = [
      (await quantizer.codebook().array()) as number[][],
      await quantized.data(),
      await indices.data(),
    ]
    chosen.forEach((index, i) => codes[index]!.forEach((x, j) => expect(values[4 * i + j]).toBeCloseTo(x, 5)))
    expect(codes.flat().some((x) => Math.abs(Math.abs(x) - 1) > 0.05)).toBe(true)
    for (const code of codes) expect(Math.hypot(...code)).toBeCloseTo(2, 5)
    // Nearest among the turned codes, as the plain cube's are among its own.
    const vectors = await z.data()
    chosen.forEach((index, i) => {
      const distance = (code: number[]): number => Math.hypot(...code.map((x, j) => x - vectors[4 * i + j]!))
      expect(distance(codes[index]!)).toBeLessThanOrEqual(Math.min(...codes.map(distance)) + 1e-5)
    })
    expect(Object.keys(quantizer.state())).toEqual(['rotation.matrix'])
  })
})
