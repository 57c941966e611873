import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, useBackend, valueAndGradients } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { rotationTrick } from '../../estimators/rotation.ts'
import { goldenCases } from '../../golden/golden.ts'
import { checkResidualVq } from '../../golden/structures.ts'
import type { CodebookQuantizer, Quantizer } from '../../quantizer.ts'
import { type BeamOptions, beamSearch } from '../../structures/beam.ts'
import { ResidualQuantizer } from '../../structures/residual.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { diveq } from '../diveq/diveq.ts'
import { fsq } from '../fsq/fsq.ts'
import { residualVq, type ResidualVqOptions } from './residual-vq.ts'

const spread = (shape: [number, number], k: Key): tf.Tensor2D => k.normal(shape)
const small = { dim: 3, codebookSize: 6, layers: 3, init: spread }

/** Mean over vectors of |z - q|^2. */
async function errorOf(quantizer: Quantizer, z: tf.Tensor): Promise<number> {
  const { quantized } = quantizer.quantize(z)
  return (await tf.mean(tf.sum(tf.squaredDifference(z, quantized), -1)).data())[0]!
}

describe.each(['cpu', 'wasm'] as const)('residual-vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, ResidualVqOptions][] = [
    ['running means', small],
    ['free codes, gradients layer by layer', { ...small, codes: 'free', estimate: 'layers', gradientFraction: 0.5 }],
    ['one codebook, revived, on the sphere', { ...small, shared: true, deadCodes: {}, metric: 'cosine' }],
    ['fewer layers in training, k-means', { ...small, dropout: { cutoff: 1 }, kMeans: { iterations: 2 } }],
    ['beam search', { ...small, search: beamSearch(3), estimate: rotationTrick() }],
    ['one layer', { ...small, layers: 1 }],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(residualVq, {
      options: (k) => ({ ...options, key: k }),
      badOptions: {
        dim: [0],
        codebookSize: [0, [4, 0], [2, 3, 4, 5], 'many'],
        layers: [0, 1.5],
        shared: [1],
        estimate: ['all'],
        gradientFraction: [-1, 2],
        dropout: [{ cutoff: -1 }, { cutoff: 3 }, { multipleOf: 0 }, { rate: 1 }],
        search: ['beam', 8],
        codes: ['learned'],
        metric: ['angular'],
        decay: [1],
        epsilon: [-1],
        commitment: [-1],
        codebookWeight: [-1],
        kMeans: [{ rounds: 2 }],
        deadCodes: [{ decay: 0 }],
      },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each([...goldenCases('residual-vq'), ...goldenCases('residual-vq-shared')])(
    'has the values, losses and gradients of the reference: $id',
    checkResidualVq,
  )

  it('gives the encoder the gradient once; layer by layer, as often as there are layers, less by what is passed on', async () => {
    const z = key(1).normal([5, 3])
    const gradientOf = async (options: Partial<ResidualVqOptions>): Promise<number> => {
      const quantizer = residualVq({ ...small, ...options })
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(quantizer.quantize(x).quantized))(z)
      const values = await gradient.data()
      values.forEach((value) => expect(value).toBeCloseTo(values[0]!, 6))
      return values[0]!
    }
    expect(await gradientOf({})).toBeCloseTo(1, 6)
    for (const f of [0, 0.25, 0.5, 1]) {
      const wanted = 1 + (1 - f) + (1 - f) ** 2
      expect(await gradientOf({ estimate: 'layers', gradientFraction: f })).toBeCloseTo(wanted, 5)
    }
    expect(() => residualVq({ ...small, gradientFraction: 0.5 })).toThrow(/^gradientFraction/)
  })

  it('lets the commitment of every layer reach the encoder', async () => {
    const quantizer = residualVq({ ...small, commitment: 0.7 })
    const z = tf.variable(key(2).normal([4, 3]))
    const { gradients, metrics } = valueAndGradients({ z }, () => {
      const { loss, indices } = quantizer.quantize(z, { training: true, freeze: true })
      return { loss, metrics: { indices } }
    })
    // d/dz of sum over l of w mse(z - (q_0 + ... + q_l)), codes held fixed
    const wanted = tf.tidy(() => {
      const left = [1, 2, 3].map((count) => {
        const rest = tf.fill([4, 3 - count], -1, 'int32')
        const first = tf.concat([tf.slice(metrics['indices']!, [0, 0], [-1, count]), rest], 1)
        return tf.sub(z, quantizer.decode(first))
      })
      return tf.mul(tf.addN(left), (2 * 0.7) / z.size)
    })
    const [got, expected] = [await gradients['z']!.data(), await wanted.data()]
    expected.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 6))
  })

  it('decodes from the first layers too, the more the better', async () => {
    const quantizer = residualVq({ ...small, codebookSize: 8, layers: 4, kMeans: {} })
    const z = key(3).normal([200, 3])
    tf.dispose(quantizer.quantize(z, { training: true, key: key(4) }))
    const { indices } = quantizer.quantize(z)
    const errors: number[] = []
    for (let count = 1; count <= 4; count++) {
      const coarse = quantizer.decode(tf.slice(indices, [0, 0], [-1, count]))
      expect(coarse.shape).toEqual(z.shape)
      errors.push((await tf.mean(tf.squaredDifference(z, coarse)).data())[0]!)
    }
    expect(errors).toEqual(errors.toSorted((a, b) => b - a))
    expect(errors[3]).toBeLessThan(errors[0]! / 4)
    // A layer whose index is -1 adds nothing.
    const padded = tf.concat([tf.slice(indices, [0, 0], [-1, 2]), tf.fill([200, 2], -1, 'int32')], 1)
    const [a, b] = [quantizer.decode(padded), quantizer.decode(tf.slice(indices, [0, 0], [-1, 2]))]
    expect(await a.data()).toEqual(await b.data())
    expect(() => quantizer.decode(tf.zeros([2, 5], 'int32'))).toThrow(/^indices/)
  })

  it('draws how many layers training uses, in multiples, and uses all outside it', async () => {
    const z = key(5).normal([3, 3])
    const depthsOf = async (dropout: ResidualVqOptions['dropout'], layers: number): Promise<number[]> => {
      const quantizer = residualVq({ ...small, layers, dropout })
      const depths = new Set<number>()
      for (let step = 0; step < 60; step++) {
        const { indices, terms } = quantizer.quantize(z, { training: true, key: key(step), freeze: true })
        const rows = (await indices.array()) as number[][]
        const depth = rows[0]!.filter((index) => index >= 0).length
        for (const row of rows) expect(row.map((index) => index >= 0)).toEqual(row.map((__, l) => l < depth))
        expect(Object.keys(terms)).toHaveLength(depth)
        depths.add(depth)
      }
      const { indices } = quantizer.quantize(z)
      expect(Math.min(...(await indices.data()))).toBeGreaterThanOrEqual(0)
      return [...depths].toSorted((a, b) => a - b)
    }
    expect(await depthsOf({}, 4)).toEqual([1, 2, 3, 4])
    expect(await depthsOf({ cutoff: 2 }, 4)).toEqual([3, 4])
    expect(await depthsOf({ multipleOf: 2 }, 5)).toEqual([2, 4, 5])
    const quantizer = residualVq({ ...small, dropout: {} })
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
  })

  it('finds the best sum of codes when the beam holds them all, in training and outside it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const quantizer = residualVq({
          dim: 2,
          codebookSize: 4,
          layers: 2,
          init: spread,
          search: beamSearch(4),
          key: key(seed),
        })
        const z = key(seed + 1).normal([6, 2])
        const codes = (await quantizer.codebook().array()) as number[][][]
        for (const training of [false, true]) {
          const { quantized, indices } = quantizer.quantize(z, { training, freeze: true })
          expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
          const [vectors, found] = [(await z.array()) as number[][], (await quantized.array()) as number[][]]
          vectors.forEach((vector, i) => {
            const distance = (q: number[]): number => (vector[0]! - q[0]!) ** 2 + (vector[1]! - q[1]!) ** 2
            const sums = codes[0]!.flatMap((a) => codes[1]!.map((b) => [a[0]! + b[0]!, a[1]! + b[1]!]))
            expect(distance(found[i]!)).toBeLessThanOrEqual(Math.min(...sums.map(distance)) + 1e-5)
          })
        }
        quantizer.dispose()
      }),
      { numRuns: 8 },
    )
  })

  it('leaves less error the wider the beam, also by summed scores, and in training only where so asked', async () => {
    const base = { ...small, codebookSize: 16, layers: 4 }
    const z = key(6).normal([150, 3])
    const error = (beam: number | BeamOptions): Promise<number> =>
      errorOf(residualVq({ ...base, search: beamSearch(beam) }), z)
    const [greedy, four, sixteen] = [await error(1), await error(4), await error(16)]
    expect(four).toBeLessThan(greedy)
    expect(sixteen).toBeLessThan(four)
    expect(await error({ training: 1, evaluation: 4 })).toBe(four)
    expect(await error({ training: 4, evaluation: 1 })).toBe(greedy)
    expect(await error({ training: 8, weights: [0, 0, 0, 1] })).toBeLessThan(greedy * 1.5)
  })

  it('refuses a beam over layers that do not list their codes, and layers that do not fit', () => {
    const layer = (): Quantizer => fsq({ levels: [5, 5] })
    const blind = new ResidualQuantizer([layer(), layer()], { search: beamSearch(2) })
    expect(() => blind.quantize(tf.zeros([1, 2]))).toThrow(/^beam/)
    const short = residualVq({ ...small, search: beamSearch({ training: 2, weights: [1] }) })
    expect(() => short.quantize(tf.zeros([1, 3]))).toThrow(/^weights/)
    for (const width of [0, 1.5]) expect(() => beamSearch({ evaluation: width })).toThrow(/^beam/)
    expect(() => new ResidualQuantizer([])).toThrow(/^layers/)
    expect(() => new ResidualQuantizer([layer(), fsq({ levels: [5] })])).toThrow(/^layers/)
  })

  it('lets a shared codebook learn once a step, from all layers, after all have chosen', async () => {
    let replaced = 0
    const order = (rows: number): Int32Array => {
      replaced++
      // Every layer's vectors are there to choose from.
      expect(rows).toBe(3 * 7)
      return Int32Array.from({ length: rows }, (_, i) => i)
    }
    const quantizer = residualVq({ ...small, shared: true, deadCodes: { threshold: 0.5, order } })
    const before = await quantizer.codebook().data()
    const z = key(7).normal([7, 3])
    const { quantized, indices } = quantizer.quantize(z, { training: true })
    expect(replaced).toBe(1)
    expect(await quantizer.codebook().data()).not.toEqual(before)
    // What came out was made of the codes before the step.
    const [values, chosen] = [await quantized.data(), await indices.data()]
    values.forEach((value, at) => {
      const [i, j] = [Math.floor(at / 3), at % 3]
      const code = (l: number): number => before[chosen[3 * i + l]! * 3 + j]!
      expect(value).toBeCloseTo(code(0) + code(1) + code(2), 5)
    })
    expect(Object.keys(quantizer.state()).some((name) => name.startsWith('layers.1'))).toBe(false)
  })

  it('is not noisy outside training, whatever its layers do inside it', async () => {
    const noisy: NonNullable<ResidualVqOptions['estimator']> = (_z, q, { training }) =>
      training ? tf.add(q, 100) : tf.clone(q)
    for (const estimate of ['layers', undefined] as const) {
      const quantizer = residualVq({ ...small, estimator: noisy, ...(estimate && { estimate }) })
      const z = key(8).normal([9, 3])
      const { quantized, indices } = quantizer.quantize(z)
      expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    }
  })

  it('trains DiVeQ layers through the value, and is not noisy outside training', async () => {
    const layers = [0, 1].map((l) => diveq({ dim: 3, codebookSize: 8, init: spread, noise: 0.3, key: key(l) }))
    const quantizer = new ResidualQuantizer(layers, { estimate: 'layers', gradientFraction: 1 })
    const z = key(10).normal([12, 3])
    const { quantized, indices } = quantizer.quantize(z)
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    const noisy = quantizer.quantize(z, { training: true, key: key(11) })
    expect(await noisy.quantized.data()).not.toEqual(await quantized.data())
    const { gradients } = valueAndGradients(quantizer.parameters(), () => {
      const out = quantizer.quantize(z, { training: true, key: key(12), freeze: true })
      return { loss: tf.mean(tf.squaredDifference(out.quantized, z)) as tf.Scalar }
    })
    for (const l of [0, 1])
      expect((await gradients[`layers.${l}.codes.weight`]!.data()).some((value) => value !== 0)).toBe(true)
  })

  it('takes a size for each layer', async () => {
    const quantizer = residualVq({ ...small, codebookSize: [8, 4, 2] })
    expect(quantizer.codebookSize).toBe(8)
    const { quantized, indices } = quantizer.quantize(key(9).normal([20, 3]))
    expect(await quantizer.decode(indices).data()).toEqual(await quantized.data())
    expect(() => quantizer.codebook()).toThrow(/^codebook/)
    const { layers } = quantizer as ResidualQuantizer
    expect(layers.map((layer) => (layer as CodebookQuantizer).codebookSize)).toEqual([8, 4, 2])
  })
})
