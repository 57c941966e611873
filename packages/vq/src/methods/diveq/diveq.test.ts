import * as tf from '@tensorflow/tfjs-core'
import { key, lookup, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { nearest } from '../../assignment/nearest.ts'
import { directional } from '../../estimators/directional.ts'
import { expectGoldenPull, goldenCases } from '../../golden/golden.ts'
import { RareCodes } from '../../revival/rare-codes.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { diveq } from './diveq.ts'

const exact = { abs: 0, rel: 0 }

describe.each(['cpu', 'wasm'] as const)('diveq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(diveq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: { dim: [0], codebookSize: [0], noise: [-1, 'little'], deadCodes: [{ threshold: -1 }], kMeans: [3] },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each([...goldenCases('diveq'), ...goldenCases('diveq-official')])(
    'has the values and gradients of the reference: $id',
    async (c) => {
      // The authors' code takes what it calls the variance for the standard deviation.
      const variance = c.config['noise_variance'] as number | undefined
      const deviation = variance === undefined ? (c.config['noise_var'] as number) : Math.sqrt(variance)
      const noise = tf.mul(goldenTensor<tf.Rank.R2>(c.inputs['noise']!), deviation) as tf.Tensor2D
      const indices = nearest(goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!))
      await expectGolden('indices', indices, c.expected['indices']!, exact)
      await expectGoldenPull(c, (z, E) => directional(z, lookup(E, indices) as tf.Tensor2D, noise))
    },
  )

  it('has the finite differences of the shift’s length as gradients, its direction held', async () => {
    const [z, q, direction] = [1, 2, 3].map((seed) => key(seed).normal<tf.Rank.R2>([5, 3])) as [
      tf.Tensor2D,
      tf.Tensor2D,
      tf.Tensor2D,
    ]
    // Noise so large that it alone gives the direction, which then does not move with z and q.
    const noise = tf.mul(direction, 1e6) as tf.Tensor2D
    await checkGradients(({ x, y }) => directional(x, y, noise), { x: z, y: q }, { tolerance: 5e-3 })
  })

  it('is stable where a vector is its code', async () => {
    const z = tf.variable(tf.ones([2, 3]))
    const q = tf.variable(tf.ones([2, 3]))
    const { gradients } = valueAndGradients({ z, q }, () => ({
      loss: tf.sum(directional(z as unknown as tf.Tensor2D, q as unknown as tf.Tensor2D, tf.zeros([2, 3]))),
    }))
    for (const gradient of Object.values(gradients)) expect((await gradient.data()).every(Number.isFinite)).toBe(true)
  })

  it('is noisy in training, as much as asked for, and hard otherwise', async () => {
    const quantizer = diveq({ dim: 4, codebookSize: 8, noise: 0.01, init: (shape, at) => at.normal(shape) })
    const z = key(1).normal([200, 4])
    const hard = quantizer.quantize(z)
    const noisy = quantizer.quantize(z, { training: true, key: key(2) })
    expect(await noisy.indices.data()).toEqual(await hard.indices.data())
    const off = (await tf.max(tf.abs(tf.sub(noisy.quantized, hard.quantized))).data())[0]!
    expect(off).toBeGreaterThan(1e-3)
    expect(off).toBeLessThan(0.1)
    const lengths = (value: tf.Tensor): Promise<Float32Array> => tf.norm(tf.sub(value, z), 2, 1).data<'float32'>()
    const [a, b] = [await lengths(noisy.quantized), await lengths(hard.quantized)]
    a.forEach((length, i) => expect(length).toBeCloseTo(b[i]!, 4))
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
  })

  it('replaces codes that hardly a step uses by used ones, for good', async () => {
    const revive = new RareCodes(4, { every: 5, share: 0.5 })
    const quantizer = diveq({ dim: 1, codebookSize: 4, deadCodes: revive, noise: 0 })
    quantizer.load({
      'codes.weight': tf.tensor2d([1, 3, 500, 900], [4, 1]),
      'revive.used': tf.zeros([4]),
      'revive.steps': tf.scalar(0),
    })
    const z = tf.tensor2d([0.9, 1.1, 2.9, 3.1], [4, 1])
    const step = (n: number): void => tf.dispose(quantizer.quantize(z, { training: true, key: key(n) }))
    for (let n = 0; n < 4; n++) step(n)
    expect(Math.max(...(await quantizer.codebook().data()))).toBe(900)
    step(4)
    for (let n = 5; n < 12; n++) step(n)
    const codes = await quantizer.codebook().data()
    expect(codes[0]).toBe(1)
    expect(codes[1]).toBe(3)
    for (const code of codes.slice(2)) expect(Math.min(Math.abs(code - 1), Math.abs(code - 3))).toBeLessThan(3)
    // Not exactly equal: of two equal codes only the first is ever chosen.
    expect(new Set(codes).size).toBe(4)
  })

  it('counts the steps between replacements across a save', () => {
    const make = (): RareCodes => new RareCodes(2, { every: 3, share: 0.5 })
    const codebook = diveq({ dim: 1, codebookSize: 2, deadCodes: make() })
    const z = tf.ones([1, 1])
    for (let n = 0; n < 2; n++) tf.dispose(codebook.quantize(z, { training: true, key: key(n) }))
    const other = diveq({ dim: 1, codebookSize: 2, deadCodes: make() })
    other.load(codebook.state())
    tf.dispose(other.quantize(z, { training: true, key: key(2) }))
    expect(other.state()['revive.steps']!.dataSync()[0]).toBe(0)
  })

  it('refuses numbers out of range', () => {
    expect(() => new RareCodes(0)).toThrow(/^codebookSize/)
    expect(() => new RareCodes(4, { every: 0 })).toThrow(/^every/)
    expect(() => new RareCodes(4, { share: 2 })).toThrow(/^share/)
    expect(() => new RareCodes(4, { noise: -1 })).toThrow(/^noise/)
  })
})
