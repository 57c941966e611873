import * as tf from '@tensorflow/tfjs-core'
import { key, Linear, Sequential, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { rotationTrick } from '../../estimators/rotation.ts'
import { goldenCases } from '../../golden/golden.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { simvq, type SimvqOptions } from './simvq.ts'

const exact = { abs: 0, rel: 0 }

describe.each(['cpu', 'wasm'] as const)('simvq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, Partial<SimvqOptions>][] = [
    ['linear', {}],
    ['diagonal', { transform: 'diagonal' }],
    ['wider codes, trained, rotation', { codeDim: 6, trainableCodes: true, estimator: rotationTrick() }],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(simvq, {
      options: (k) => ({ dim: 4, codebookSize: 16, key: k, ...options }),
      badOptions: {
        dim: [0],
        codebookSize: [0],
        transform: ['quadratic', 3],
        bias: [0],
        codeDim: [0],
        trainableCodes: ['no'],
        estimator: ['rotation'],
        commitment: [-1],
        codebookWeight: [-1],
      },
      nearest: true,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('simvq'))('has the values and gradients of the reference: $id', async (c) => {
    const [z, g] = [goldenTensor(c.inputs['z']!), goldenTensor(c.inputs['g']!)]
    const diagonal = (c.config['transform'] as string).startsWith('diagonal')
    const weight = c.config['commitment_weight'] as number
    const quantizer = simvq({
      dim: c.config['dim'] as number,
      codebookSize: c.config['codebook_size'] as number,
      codeDim: c.config['frozen_codebook_dim'] as number,
      transform: diagonal ? 'diagonal' : 'linear',
      bias: c.config['bias'] as boolean,
      trainableCodes: c.config['train_codebook'] as boolean,
      codebookWeight: weight,
      commitment: weight * (c.config['input_to_quantize_commit_loss_weight'] as number),
      ...(c.config['rotation_trick'] ? { estimator: rotationTrick() } : {}),
    })
    const map = diagonal ? 'codes.transform.scale' : 'codes.transform.weight'
    quantizer.load({
      'codes.basis': goldenTensor(c.inputs['C']!),
      [map]: goldenTensor(c.inputs['W']!),
      ...(c.inputs['bias'] ? { 'codes.transform.bias': goldenTensor(c.inputs['bias']) } : {}),
    })
    await expectGolden('codebook', quantizer.codebook(), c.expected['effective_codebook']!, c.tolerance)
    const variable = tf.variable(z)
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, quantized)), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
    await expectGolden('quantized', metrics['quantized']!, c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', gradients['z']!, c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_W', gradients[map]!, c.expected['grad_W']!, c.tolerance)
    if (c.expected['grad_bias'])
      await expectGolden('grad_bias', gradients['codes.transform.bias']!, c.expected['grad_bias'], c.tolerance)
    if (c.expected['grad_C']) await expectGolden('grad_C', gradients['codes.basis']!, c.expected['grad_C'], c.tolerance)
    else expect(gradients).not.toHaveProperty('codes.basis')
    await expectGolden('decoded', quantizer.decode(metrics['indices']!), c.expected['codes_of_indices']!, c.tolerance)
    // The recorded step is one of the map alone.
    for (const [name, parameter] of Object.entries(quantizer.parameters()))
      if (name !== 'codes.basis') parameter.assign(tf.sub(parameter, tf.mul(0.1, gradients[name]!)))
    const after = c.expected['effective_codebook_after_sgd_0.1']!
    await expectGolden('codebook after a step', quantizer.codebook(), after, c.tolerance)
  })

  it.each(goldenCases('simvq-official'))('agrees with the authors in either form of the loss: $id', async (c) => {
    const [z, g] = [goldenTensor(c.inputs['z_rows']!), goldenTensor(c.inputs['g']!)]
    const C = goldenTensor<tf.Rank.R2>(c.inputs['C']!)
    const [size, dim] = C.shape
    const beta = c.config['beta'] as number
    const weights = c.config['legacy'] ? { commitment: 1, codebookWeight: beta } : { commitment: beta }
    const quantizer = simvq({ dim, codebookSize: size, ...weights })
    quantizer.load({
      'codes.basis': C,
      'codes.transform.weight': goldenTensor(c.inputs['W']!),
      'codes.transform.bias': goldenTensor(c.inputs['bias']!),
    })
    const lastToFirst = (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, [1, 3, 4, dim]), [0, 3, 1, 2])
    const variable = tf.variable(tf.reshape(z, [1, 3, 4, dim]))
    const { gradients, metrics } = valueAndGradients({ z: variable, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(variable, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, lastToFirst(quantized))), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, exact)
    await expectGolden('quantized', lastToFirst(metrics['quantized']!), c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', lastToFirst(gradients['z']!), c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_W', gradients['codes.transform.weight']!, c.expected['grad_W']!, c.tolerance)
    await expectGolden('grad_bias', gradients['codes.transform.bias']!, c.expected['grad_bias']!, c.tolerance)
  })

  it('has the finite differences of its codebook term as gradients of the map', async () => {
    const quantizer = simvq({ dim: 3, codebookSize: 6, commitment: 0, key: key(4) })
    const z = key(5).normal([9, 3])
    const [weight, bias] = ['weight', 'bias'].map((name) => tf.clone(quantizer.state()[`codes.transform.${name}`]!))
    const basis = quantizer.state()['codes.basis'] as tf.Tensor2D
    const { indices, ...rest } = quantizer.quantize(z)
    await checkGradients(
      ({ W, b }) => {
        const codes = tf.add(tf.matMul(basis, W as tf.Tensor2D, false, true), b)
        const q = tf.matMul(tf.oneHot(indices as tf.Tensor1D, 6), codes as tf.Tensor2D)
        return tf.mean(tf.squaredDifference(z, q))
      },
      { W: weight!, b: bias! },
    )
    tf.dispose([z, weight!, bias!, indices, rest])
    quantizer.dispose()
  })

  it('moves codes that nothing chose', async () => {
    const quantizer = simvq({ dim: 2, codebookSize: 8, key: key(1) })
    const z = tf.tensor2d([[5, 5]])
    const { gradients } = valueAndGradients(quantizer.parameters(), () => quantizer.quantize(z, { training: true }))
    const before = (await quantizer.codebook().array()) as number[][]
    for (const [name, parameter] of Object.entries(quantizer.parameters()))
      parameter.assign(tf.sub(parameter, tf.mul(0.1, gradients[name]!)))
    const after = (await quantizer.codebook().array()) as number[][]
    after.forEach((code, i) => expect(code).not.toEqual(before[i]))
  })

  it('takes a layer of one’s own as the map, and saves it', () => {
    const [a, b] = key(2).split(2)
    const transform = new Sequential(new Linear(4, 6, { key: a! }), new Linear(6, 4, { key: b! }))
    const quantizer = simvq({ dim: 4, codebookSize: 16, transform })
    expect(Object.keys(quantizer.state())).toContain('codes.transform.1.bias')
    expect(quantizer.codebook().shape).toEqual([16, 4])
    quantizer.dispose()
  })

  it('refuses a diagonal map between different sizes', () => {
    expect(() => simvq({ dim: 4, codebookSize: 8, transform: 'diagonal', codeDim: 3 })).toThrow(/^codeDim/)
  })
})
