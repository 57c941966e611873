import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { FreeCodebook } from '../codebooks/free.ts'
import { goldenCases } from '../golden/golden.ts'
import { codebookLoss, commitmentLoss } from '../losses/losses.ts'
import { CodebookQuantizer } from '../quantizer.ts'
import { straightThrough, synchronised } from './estimator.ts'
import { rotationTrick } from './rotation.ts'

describe.each(['cpu', 'wasm'] as const)('synchronised update on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenCases('vqstepp-sync'))('gives codes their share of the gradient, as the reference: $id', async (c) => {
    const [z, E, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
    const beta = c.config['beta'] as number
    const quantizer = new CodebookQuantizer({
      codebook: new FreeCodebook(E.shape[0]!, E.shape[1]!),
      estimate: synchronised(straightThrough, c.config['nu'] as number),
      losses: { codebook: codebookLoss(beta), commitment: commitmentLoss(1 - beta) },
    })
    quantizer.load({ 'codes.weight': E })
    const variable = tf.variable(z)
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, { abs: 0, rel: 0 })
    await expectGolden('zq', metrics['quantized']!, c.expected['zq']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
  })

  it.each([
    ['straight-through', straightThrough],
    ['rotation', rotationTrick()],
  ])('adds nu g to the codes and leaves the vector’s gradient alone: %s', async (_, inner) => {
    const codes = key(1).normal<tf.Rank.R2>([5, 3])
    const z = tf.variable(key(2).normal([9, 3]))
    const g = key(3).normal<tf.Rank.R2>([9, 3])
    const pull = (estimate: typeof inner | ReturnType<typeof synchronised>) => {
      const codebook = new FreeCodebook(5, 3, { init: () => tf.clone(codes) })
      const quantizer = new CodebookQuantizer({ codebook, estimate, losses: {} })
      return valueAndGradients({ z, ...quantizer.parameters() }, () => {
        const { quantized, indices } = quantizer.quantize(z, { training: true })
        return { loss: tf.sum(tf.mul(quantized, g)), metrics: { quantized, indices } }
      })
    }
    const [plain, both] = [pull(inner), pull(synchronised(inner, 0.5))]
    expect(await both.metrics['quantized']!.data()).toEqual(await plain.metrics['quantized']!.data())
    expect(await both.gradients['z']!.data()).toEqual(await plain.gradients['z']!.data())
    expect(plain.gradients).not.toHaveProperty('codes.weight')
    const hot = tf.oneHot(plain.metrics['indices'] as tf.Tensor1D, 5)
    const expected = await tf.mul(0.5, tf.matMul(hot as tf.Tensor2D, g, true)).data()
    const got = await both.gradients['codes.weight']!.data()
    got.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5))
  })

  it('refuses a negative rate', () => {
    expect(() => synchronised(straightThrough, -1)).toThrow(/^rate/)
  })
})
