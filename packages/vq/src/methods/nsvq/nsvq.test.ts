import * as tf from '@tensorflow/tfjs-core'
import { key, lookup, useBackend } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { nearest } from '../../assignment/nearest.ts'
import { noiseSubstitution } from '../../estimators/directional.ts'
import { expectGoldenPull, goldenCases } from '../../golden/golden.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { nsvq } from './nsvq.ts'

describe.each(['cpu', 'wasm'] as const)('nsvq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(nsvq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: { dim: [0], codebookSize: [0], losses: [{ own: 1 }] },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each(goldenCases('nsvq'))('has the values and gradients of the formula: $id', async (c) => {
    const noise = goldenTensor<tf.Rank.R2>(c.inputs['noise']!)
    const indices = nearest(goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!))
    await expectGolden('indices', indices, c.expected['indices']!, { abs: 0, rel: 0 })
    await expectGoldenPull(c, (z, E) => noiseSubstitution(z, lookup(E, indices) as tf.Tensor2D, noise))
  })

  it('has finite differences as gradients', async () => {
    const [z, q, noise] = [1, 2, 3].map((seed) => key(seed).normal<tf.Rank.R2>([5, 3])) as [
      tf.Tensor2D,
      tf.Tensor2D,
      tf.Tensor2D,
    ]
    await checkGradients(({ x, y }) => noiseSubstitution(x, y, noise), { x: z, y: q })
  })

  it('keeps the length of the error in training', async () => {
    const quantizer = nsvq({ dim: 4, codebookSize: 8, init: (shape, at) => at.normal(shape) })
    const z = key(1).normal([50, 4])
    const [hard, noisy] = [quantizer.quantize(z), quantizer.quantize(z, { training: true, key: key(2) })]
    const lengths = (value: tf.Tensor): Promise<Float32Array> => tf.norm(tf.sub(value, z), 2, 1).data<'float32'>()
    const [a, b] = [await lengths(noisy.quantized), await lengths(hard.quantized)]
    a.forEach((length, i) => expect(length).toBeCloseTo(b[i]!, 4))
    expect(await noisy.quantized.data()).not.toEqual(await hard.quantized.data())
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
  })
})
