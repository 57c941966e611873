import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { VqBridge } from '../../codebooks/bridge.ts'
import { LinearCodebook } from '../../codebooks/linear.ts'
import { goldenCases } from '../../golden/golden.ts'
import { codebookLoss, commitmentLoss } from '../../losses/losses.ts'
import { CodebookQuantizer, type Quantizer } from '../../quantizer.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { vqBridge } from './vq-bridge.ts'

const exact = { abs: 0, rel: 0 }

describe.each(['cpu', 'wasm'] as const)('vq-bridge on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(vqBridge, {
    options: (k) => ({ dim: 4, codebookSize: 16, patch: 2, width: 8, heads: 2, depth: 1, key: k }),
    badOptions: {
      dim: [0],
      codebookSize: [0],
      patch: [0, 3],
      width: [0],
      depth: [0],
      heads: [0, 3],
      commitment: [-1],
      codebookWeight: [-1],
      estimator: ['rotation'],
      losses: [{ own: 1 }],
    },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  // The reference's bridge is one linear layer; its loss one mse with gradient to both sides: half the sum of our two terms.
  it.each(goldenCases('fvq-bridge'))('has the values and gradients of the reference: $id', async (c) => {
    const [z, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['g']!)]
    const [dim, size] = [c.config['dim'] as number, c.config['codebook_size'] as number]
    const weight = c.config['commitment_weight'] as number
    const quantizer = new CodebookQuantizer({
      codebook: new LinearCodebook(size, dim, { trainable: true }),
      losses: { codebook: codebookLoss(weight), commitment: commitmentLoss(weight) },
    })
    quantizer.load({
      'codes.basis': goldenTensor(c.inputs['E']!),
      'codes.transform.weight': goldenTensor(c.inputs['W']!),
      'codes.transform.bias': goldenTensor(c.inputs['bias']!),
    })
    await expectGolden('codebook', quantizer.codebook(), c.expected['effective_codebook']!, c.tolerance)
    const variable = tf.variable(z)
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
    await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', tf.div(metrics['loss']!, 2), c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_E', gradients['codes.basis']!, c.expected['grad_E']!, c.tolerance)
    await expectGolden('grad_W', gradients['codes.transform.weight']!, c.expected['grad_W']!, c.tolerance)
    await expectGolden('grad_bias', gradients['codes.transform.bias']!, c.expected['grad_bias']!, c.tolerance)
  })

  it('has finite differences as gradients', async () => {
    const bridge = new VqBridge(6, 2, { patch: 2, width: 4, heads: 2, depth: 1, key: key(1) })
    const codes = key(2).normal<tf.Rank.R2>([6, 2])
    bridge.project.weight.assign(key(3).normal([4, 4]))
    await checkGradients(({ e }) => bridge.forward(e), { e: codes }, { tolerance: 5e-3 })
    await checkGradients(() => bridge.forward(codes), { w: bridge.blocks[0]!.qkv.weight }, { tolerance: 5e-3 })
  })

  it('starts with codes that differ', async () => {
    const quantizer = vqBridge({ dim: 4, codebookSize: 64, width: 16 })
    const codes = (await quantizer.codebook().array()) as number[][]
    expect(new Set(codes.map(String)).size).toBe(64)
    quantizer.dispose()
  })

  it('moves codes that nothing chose', () => {
    const quantizer = vqBridge({ dim: 2, codebookSize: 8, width: 8, patch: 2 })
    const z = tf.tensor2d([[5, 5]])
    const before = rowsOf(quantizer)
    const { gradients } = valueAndGradients(quantizer.parameters(), () => quantizer.quantize(z, { training: true }))
    for (const [name, gradient] of Object.entries(gradients))
      quantizer.parameters()[name]!.assign(tf.sub(quantizer.parameters()[name]!, tf.mul(0.1, gradient)))
    rowsOf(quantizer).forEach((code, i) => expect(code).not.toEqual(before[i]))
  })

  it('is baked into codes alone, for use', async () => {
    const quantizer = vqBridge({ dim: 3, codebookSize: 12, width: 8 }) as CodebookQuantizer
    const z = key(4).normal([20, 3])
    const baked = quantizer.bake()
    expect(Object.keys(baked.state())).toEqual(['codes.weight'])
    expect(baked.parameters()).toEqual({})
    const [a, b] = [quantizer.quantize(z), baked.quantize(z)]
    expect(await b.indices.data()).toEqual(await a.indices.data())
    expect(await b.quantized.data()).toEqual(await a.quantized.data())
    // It is one of its own.
    quantizer.dispose()
    expect(baked.quantize(z).indices.shape).toEqual([20])
    baked.dispose()
  })
})

const rowsOf = (quantizer: Quantizer): number[][] => quantizer.codebook().arraySync() as number[][]
