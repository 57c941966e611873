import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { expectGolden, goldenTensor, type GoldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { EmaCodebook } from '../../codebooks/ema.ts'
import { type GoldenCase, goldenCases } from '../../golden/golden.ts'
import { kMeans } from '../../initialisation/k-means.ts'
import { cosine, euclidean, type Metric } from '../../metric.ts'
import type { Quantizer } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vqEma } from './vq-ema.ts'

const exact = { abs: 0, rel: 0 }

interface Step {
  readonly indices: GoldenTensor
  readonly quantized?: GoldenTensor
  readonly loss: number
  readonly embed: GoldenTensor
  readonly cluster_size: GoldenTensor
  readonly embed_avg: GoldenTensor
}

const metricOf = (c: GoldenCase): Metric => (c.config['use_cosine_sim'] ? cosine : euclidean)
const metricName = (c: GoldenCase): 'cosine' | 'euclidean' => (c.config['use_cosine_sim'] ? 'cosine' : 'euclidean')

/** Starts as the reference does: sizes 1, sums equal to the codes. */
function startAt(quantizer: Quantizer, E: tf.Tensor2D, metric: Metric): void {
  const codes = metric.project(E)
  const sizes = tf.ones([E.shape[0]])
  const rest = Object.entries(quantizer.state()).filter(([name]) => !name.startsWith('codes.'))
  quantizer.load({
    ...Object.fromEntries(rest),
    'codes.weight': codes,
    'codes.clusterSum': codes,
    'codes.clusterSize': sizes,
  })
  tf.dispose([codes, sizes])
}

async function expectState(quantizer: Quantizer, step: Step, c: GoldenCase): Promise<void> {
  const state = quantizer.state()
  await expectGolden('codes', state['codes.weight']!, step.embed, c.tolerance)
  await expectGolden('cluster size', state['codes.clusterSize']!, step.cluster_size, c.tolerance)
  await expectGolden('cluster sum', state['codes.clusterSum']!, step.embed_avg, c.tolerance)
}

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

  it.each([...goldenCases('vq-euclid-ema'), ...goldenCases('vq-cosine-ema')])(
    'learns as the reference: $id',
    async (c) => {
      const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
      const quantizer = vqEma({
        dim: E.shape[1],
        codebookSize: E.shape[0],
        metric: metricName(c),
        decay: c.config['decay'] as number,
        epsilon: c.config['eps'] as number,
        commitment: c.config['commitment_weight'] as number,
      })
      startAt(quantizer, E, metricOf(c))
      const steps = c.expected['steps'] as unknown as Step[]
      for (const [i, step] of steps.entries()) {
        const z = goldenTensor(c.inputs[`z${i}`]!)
        const { indices, quantized, loss } = quantizer.quantize(z, { training: true })
        await expectGolden(`indices of step ${i}`, indices, step.indices, exact)
        await expectGolden(`quantized of step ${i}`, quantized, step.quantized!, c.tolerance)
        await expectGolden(`loss of step ${i}`, loss, { shape: [], values: [step.loss] }, c.tolerance)
        await expectState(quantizer, step, c)
      }
      const after = c.expected['eval_after'] as unknown as {
        indices: GoldenTensor
        quantized: GoldenTensor
        loss: number
      }
      const last = goldenTensor(c.inputs[`z${steps.length - 1}`]!)
      const { indices, quantized, loss } = quantizer.quantize(last)
      await expectGolden('indices afterwards', indices, after.indices, exact)
      await expectGolden('quantized afterwards', quantized, after.quantized, c.tolerance)
      await expectGolden('loss afterwards', loss, { shape: [], values: [after.loss] }, exact)
    },
  )

  it.each(goldenCases('dead-code'))('replaces dead codes for good, as the reference: $id', async (c) => {
    const E = goldenTensor<tf.Rank.R2>(c.inputs['E']!)
    const quantizer = vqEma({
      dim: E.shape[1],
      codebookSize: E.shape[0],
      metric: metricName(c),
      decay: c.config['decay'] as number,
      commitment: 1,
      deadCodes: {
        threshold: c.config['threshold_ema_dead_code'] as number,
        reset: c.config['reset_cluster_size'] as number,
        order: (rows) => Int32Array.from({ length: rows }, (_, i) => i),
      },
    })
    startAt(quantizer, E, metricOf(c))
    for (const [i, step] of (c.expected['steps'] as unknown as Step[]).entries()) {
      const z = goldenTensor(c.inputs[`z${i}`]!)
      const { indices, loss } = quantizer.quantize(z, { training: true })
      await expectGolden(`indices of step ${i}`, indices, step.indices, exact)
      await expectGolden(`loss of step ${i}`, loss, { shape: [], values: [step.loss] }, c.tolerance)
      await expectState(quantizer, step, c)
    }
  })

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

  it.each(goldenCases('kmeans'))('clusters as the reference: $id', async (c) => {
    const metric = metricOf(c)
    const z = goldenTensor<tf.Rank.R2>(c.inputs['z']!)
    const count = c.config['num_clusters'] as number
    const given = c.inputs['init']
    const start = given ? goldenTensor<tf.Rank.R2>(given) : tf.tidy(() => tf.slice(metric.project(z), 0, count))
    const { means, counts } = kMeans(z, count, { iterations: c.config['num_iters'] as number, metric, start })
    await expectGolden('means', means, c.expected['means']!, c.tolerance)
    await expectGolden('counts', counts, c.expected['bins']!, exact)
  })

  it.each(goldenCases('kmeans-init'))('places codes by k-means as the reference: $id', async (c) => {
    const metric = metricOf(c)
    const z = goldenTensor<tf.Rank.R3>(c.inputs['z']!)
    const [dim, size] = [c.config['dim'] as number, c.config['codebook_size'] as number]
    const rows = tf.reshape<tf.Rank.R2>(z, [-1, dim])
    const start = tf.slice(metric.project(rows), 0, size)
    const { means, counts } = kMeans(rows, size, { iterations: c.config['kmeans_iters'] as number, metric, start })
    const codebook = new EmaCodebook(size, dim, { metric })
    codebook.place(means, counts)
    await expectGolden('codes', codebook.weight, c.expected['embed']!, c.tolerance)
    await expectGolden('cluster size', codebook.clusterSize, c.expected['cluster_size']!, c.tolerance)
    await expectGolden('cluster sum', codebook.clusterSum, c.expected['embed_avg']!, c.tolerance)
    const quantizer = vqEma({ dim, codebookSize: size, metric: metricName(c), commitment: 1 })
    quantizer.load(Object.fromEntries(Object.entries(codebook.state()).map(([name, x]) => [`codes.${name}`, x])))
    const { indices, quantized, loss } = quantizer.quantize(z, { training: true })
    await expectGolden('indices', indices, c.expected['indices']!, exact)
    await expectGolden('quantized', quantized, c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', loss, c.expected['loss']!, c.tolerance)
  })

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
