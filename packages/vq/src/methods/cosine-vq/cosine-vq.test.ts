import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { FreeCodebook } from '../../codebooks/free.ts'
import { cosine } from '../../metric.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vqEma } from '../vq-ema/vq-ema.ts'
import { cosineVq } from './cosine-vq.ts'

describe.each(['cpu', 'wasm'] as const)('cosine-vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(cosineVq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: {
      dim: [0],
      codebookSize: [0],
      commitment: [-1],
      codebookWeight: [-1],
      assign: ['nearest'],
      estimator: ['rotation'],
      losses: [{ own: 3 }],
      kMeans: [{ iterations: 0 }],
      deadCodes: [{ decay: 1 }],
    },
    nearest: false,
  })
  it.each(checks)('$name', ({ run }) => run())

  it('takes the code of the largest cosine, whatever the lengths', async () => {
    const quantizer = cosineVq({ dim: 3, codebookSize: 12, init: (shape, at) => at.normal(shape), key: key(1) })
    const z = key(2).normal<tf.Rank.R2>([40, 3])
    const scaled = tf.mul(z, key(3).uniform([40, 1], { min: 0.01, max: 90 }))
    const [plain, long] = [quantizer.quantize(z), quantizer.quantize(scaled)]
    expect(await long.indices.data()).toEqual(await plain.indices.data())
    const [vectors, codes, chosen] = [
      await z.array(),
      (await quantizer.codebook().array()) as number[][],
      await plain.indices.data(),
    ]
    vectors.forEach((vector, i) => {
      const cosines = codes.map((code) => code.reduce((sum, c, j) => sum + c * vector[j]!, 0) / Math.hypot(...vector))
      expect(cosines[chosen[i]!]).toBeGreaterThanOrEqual(Math.max(...cosines) - 1e-6)
    })
    for (const code of codes) expect(Math.hypot(...code)).toBeCloseTo(1, 5)
  })

  it('differentiates through the scaling to length 1', async () => {
    const codebook = new FreeCodebook(5, 3, { metric: cosine, init: (shape, at) => at.normal(shape) })
    await checkGradients(() => codebook.codes(), { weight: codebook.weight })
    codebook.dispose()
  })

  it('has no gradient, but not NaN, at the zero vector', async () => {
    const quantizer = cosineVq({ dim: 3, codebookSize: 4 })
    const z = tf.variable(tf.zeros([2, 3]))
    const { gradients } = valueAndGradients({ z, ...quantizer.parameters() }, () => {
      const { quantized, loss } = quantizer.quantize(z, { training: true })
      return { loss: tf.add(tf.sum(quantized), loss) }
    })
    for (const gradient of Object.values(gradients))
      expect((await gradient.data()).every((value) => Number.isFinite(value))).toBe(true)
  })

  // A published implementation compares masked vectors before they are normalised with codes that are.
  it.each(['gradient', 'average'])('measures masked vectors on the sphere: codes by %s', async (by) => {
    const options = { dim: 4, codebookSize: 8, init: (shape: [number, number]) => key(1).normal<tf.Rank.R2>(shape) }
    const make = () => (by === 'gradient' ? cosineVq(options) : vqEma({ ...options, metric: 'cosine' }))
    const z = key(2).normal<tf.Rank.R2>([6, 4], { standardDeviation: 20 })
    const masked = make().quantize(z, { training: true, mask: tf.tensor1d([1, 1, 1, 0, 0, 0]) })
    const alone = make().quantize(tf.slice(z, 0, 3), { training: true })
    const [a, b] = [await masked.terms['commitment']!.data(), await alone.terms['commitment']!.data()]
    expect(a[0]).toBeCloseTo(b[0]!, 6)
    // Two unit vectors are at most 2 apart.
    expect(a[0]).toBeLessThanOrEqual((0.25 * 4) / 4)
  })
})
