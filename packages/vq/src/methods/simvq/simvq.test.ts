import * as tf from '@tensorflow/tfjs-core'
import { key, Linear, Sequential, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { rotationTrick } from '../../estimators/rotation.ts'
import { checkSimvq, checkSimvqOfficial } from '../../golden/codebooks.ts'
import { goldenCases } from '../../golden/golden.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { simvq, type SimvqOptions } from './simvq.ts'

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

  it.each(goldenCases('simvq'))('has the values and gradients of the reference: $id', checkSimvq)

  it.each(goldenCases('simvq-official'))('agrees with the authors in either form of the loss: $id', checkSimvqOfficial)

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
