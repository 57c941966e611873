import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { EmaCodebook } from '../../codebooks/ema.ts'
import { checkDeadCodes, checkEma, checkKMeans, checkKMeansInit, startAt } from '../../golden/codebooks.ts'
import { goldenCases } from '../../golden/golden.ts'
import { euclidean } from '../../metric.ts'
import { type Quantizer } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vqEma } from './vq-ema.ts'

describe.each(['cpu', 'wasm'] as const)('vq-ema on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const plain = quantizerConformance(vqEma, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: { dim: [0], codebookSize: [0], decay: [0, 1, 2], epsilon: [-1], commitment: [-1], metric: ['angular'] },
    nearest: true,
  })
  it.each(plain)('$name', ({ run }) => run())

  const whole = quantizerConformance(vqEma, {
    options: (k) => ({
      dim: 4,
      codebookSize: 8,
      metric: 'cosine' as const,
      kMeans: { iterations: 3 },
      deadCodes: {},
      key: k,
    }),
    badOptions: { kMeans: [{ iterations: 0.5 }, { rounds: 3 }], deadCodes: [{ decay: 0 }, { threshold: 'low' }] },
    nearest: false,
  })
  it.each(whole)('with every part: $name', ({ run }) => run())

  it.each([...goldenCases('vq-euclid-ema'), ...goldenCases('vq-cosine-ema')])('learns as the reference: $id', checkEma)

  it.each(goldenCases('dead-code'))('replaces dead codes for good, as the reference: $id', checkDeadCodes)

  it('keeps a revived code alive: the running sums are reset with it', async () => {
    const quantizer = vqEma({ dim: 1, codebookSize: 2, decay: 0.9, deadCodes: { threshold: 0.5 } })
    const codes = tf.tensor2d([[0], [100]])
    startAt(quantizer, codes, euclidean)
    const z = tf.tensor2d([[1], [3], [1], [3]])
    for (let step = 0; step < 12; step++) tf.dispose(quantizer.quantize(z, { training: true, key: key(step) }))
    const { indices, ...rest } = quantizer.quantize(z)
    const values = await quantizer.state()['codes.weight']!.data()
    expect(Math.max(...values)).toBeLessThan(4)
    expect(new Set(await indices.data()).size).toBe(2)
    tf.dispose([codes, z, indices, rest])
    quantizer.dispose()
  })

  it.each(goldenCases('kmeans'))('clusters as the reference: $id', checkKMeans)

  it.each(goldenCases('kmeans-init'))('places codes by k-means as the reference: $id', checkKMeansInit)

  it('keeps the mean of a cluster that nothing chose, where it would become zero', async () => {
    const codebook = new EmaCodebook(2, 2)
    const [means, counts] = [
      tf.tensor2d([
        [1, 2],
        [3, 4],
      ]),
      tf.tensor1d([5, 0]),
    ]
    codebook.place(means, counts)
    const values = await codebook.weight.data()
    ;[1, 2, 3, 4].forEach((value, i) => expect(values[i]).toBeCloseTo(value, 3))
    tf.dispose([means, counts])
    codebook.dispose()
  })

  it('starts from rows that count alone', async () => {
    const z = tf.tensor2d([
      [1, 1],
      [50, 50],
      [2, 2],
      [-50, 50],
    ])
    const quantizer = vqEma({ dim: 2, codebookSize: 3, kMeans: { iterations: 4 } })
    const mask = tf.tensor1d([1, 0, 1, 0])
    tf.dispose(quantizer.quantize(z, { training: true, key: key(1), mask }))
    const codes = await quantizer.codebook().data()
    expect(Math.max(...codes.map(Math.abs))).toBeLessThan(2.01)
    tf.dispose([z, mask])
    quantizer.dispose()
  })

  it('remembers across a save that it has started from data', async () => {
    const make = (): Quantizer => vqEma({ dim: 2, codebookSize: 4, kMeans: {} })
    const [first, second] = [make(), make()]
    const z = key(1).normal([32, 2])
    tf.dispose(first.quantize(z, { training: true, key: key(2) }))
    second.load(first.state())
    // Without a key: a second k-means would ask for one.
    tf.dispose(second.quantize(z, { training: true }))
    z.dispose()
    first.dispose()
    second.dispose()
  })
})
