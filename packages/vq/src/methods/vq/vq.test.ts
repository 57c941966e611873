import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { FreeCodebook } from '../../codebooks/free.ts'
import { estimator, straightThrough } from '../../estimators/estimator.ts'
import { rotationTrick } from '../../estimators/rotation.ts'
import { goldenCases } from '../../golden/golden.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { CodebookQuantizer, type Quantization } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vq } from './vq.ts'

describe.each(['cpu', 'wasm'] as const)('vq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(vq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: {
      dim: [0, 1.5, '4', undefined],
      codebookSize: [0, -1, Number.NaN],
      commitment: [-1, 'much'],
      codebookWeight: [-0.5],
      init: [3],
      kMeans: [{ iterations: 0 }, 'yes'],
      deadCodes: [{ threshold: -1 }, { decay: 1 }],
      key: [42],
    },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  // The peer's loss is one mse with gradient to both sides: half the sum of our two terms at equal weight.
  it.each(goldenCases('vq-gradients'))('has the values and gradients of the reference: $id', async (c) => {
    const weight = c.config['commitment_weight'] as number
    const sync = 1 + (c.config['sync_update_v'] as number)
    const through = c.config['rotation_trick'] ? rotationTrick() : straightThrough
    const [z, E, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
    const codebook = new FreeCodebook(E.shape[0]!, E.shape[1]!)
    const quantizer = new CodebookQuantizer({
      codebook,
      // Its synchronised update multiplies the encoder's gradient by 1 + v: the general estimator for G' = (1 + v) G.
      estimate: (x, q) => through(estimator((dy) => tf.mul(dy, sync))(x, x), q),
      losses: { codebook: codebookLoss(weight), commitment: commitmentLoss(weight) },
    })
    quantizer.load({ 'codes.weight': E })
    const variable = tf.variable(z)
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, { abs: 0, rel: 0 })
    await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', tf.div(metrics['loss']!, 2), c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
    const gradient = gradients['codes.weight'] ?? tf.zerosLike(E)
    await expectGolden('grad_E', gradient, c.expected['grad_E']!, c.tolerance)
  })

  it.each(goldenCases('vqvae-loss'))('puts beta on the right term: $id', async (c) => {
    const beta = c.config['beta'] as number
    const [z, E, g] = [goldenTensor(c.inputs['z_rows']!), goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
    const [size, dim] = E.shape as [number, number]
    // The widely copied "legacy" form has beta on the codebook's term.
    const weights = c.config['legacy'] ? { commitment: 1, codebookWeight: beta } : { commitment: beta }
    const quantizer = vq({ dim, codebookSize: size, ...weights })
    quantizer.load({ 'codes.weight': E })
    const lastToFirst = (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, [1, 3, 4, dim]), [0, 3, 1, 2])
    const variable = tf.variable(tf.reshape(z, [1, 3, 4, dim]))
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, lastToFirst(quantized))), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, { abs: 0, rel: 0 })
    await expectGolden('quantized', lastToFirst(metrics['quantized']!), c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', lastToFirst(gradients['z']!), c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
  })

  it('has the finite differences of its two terms as gradients', async () => {
    const quantizer = vq({ dim: 3, codebookSize: 5, init: (shape, at) => at.normal(shape) })
    const z = key(3).normal<tf.Rank.R2>([7, 3])
    const codes = quantizer.codebook()
    const { indices, quantized: q, ...rest } = quantizer.quantize(z) as Quantization & { quantized: tf.Tensor2D }
    // Each term as a function of the one side that it has a gradient for, the choices held.
    await checkGradients(({ x }) => commitmentLoss(0.25)({ z: x, q, counts: null }), { x: z })
    await checkGradients(
      ({ e }) => {
        const chosen = tf.matMul(tf.oneHot(indices as tf.Tensor1D, 5), e) as tf.Tensor2D
        return codebookLoss(1)({ z, q: chosen, counts: null })
      },
      { e: codes },
    )
    tf.dispose([z, codes, indices, q, rest])
    quantizer.dispose()
  })

  it('leaves unchosen codes where they are', async () => {
    const quantizer = vq({ dim: 2, codebookSize: 3 })
    const codes = tf.tensor2d([
      [0, 0],
      [10, 10],
      [20, 20],
    ])
    quantizer.load({ 'codes.weight': codes })
    const z = tf.tensor2d([
      [0.1, 0],
      [10, 10.1],
    ])
    const { gradients, loss } = valueAndGradients(quantizer.parameters(), () =>
      quantizer.quantize(z, { training: true }),
    )
    const gradient = (await gradients['codes.weight']!.array()) as number[][]
    expect(gradient[2]).toEqual([0, 0])
    expect(gradient[0]![0]).toBeLessThan(0)
    tf.dispose([codes, z, gradients, loss])
    quantizer.dispose()
  })

  it('starts by k-means and revives dead codes when asked', async () => {
    const quantizer = vq({ dim: 2, codebookSize: 8, kMeans: {}, deadCodes: { threshold: 0.5, decay: 0.5 } })
    const z = key(1).normal([64, 2], { mean: 5 })
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
    for (let step = 0; step < 6; step++) tf.dispose(quantizer.quantize(z, { training: true, key: key(step) }))
    const { indices, ...rest } = quantizer.quantize(z)
    expect(new Set(await indices.data()).size).toBe(8)
    tf.dispose([z, indices, rest])
    quantizer.dispose()
  })
})
