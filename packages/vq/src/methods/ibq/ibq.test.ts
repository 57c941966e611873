import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { throughIndex } from '../../estimators/soft-index.ts'
import { goldenCases } from '../../golden/golden.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { ibq } from './ibq.ts'

describe.each(['cpu', 'wasm'] as const)('ibq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(ibq, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), entropy: {}, key: k }),
    badOptions: {
      dim: [0],
      codebookSize: [0],
      commitment: [-1],
      codebookWeight: [-1],
      entropy: [{ temperature: 0 }, { weight: -1 }, 1],
    },
    nearest: false,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each(goldenCases('ibq'))('has the values and gradients of the reference: $id', async (c) => {
    const rows = goldenTensor<tf.Rank.R2>(c.inputs['z_rows']!)
    const [E, g] = [goldenTensor(c.inputs['E']!), goldenTensor(c.inputs['g']!)]
    const [size, dim] = E.shape as [number, number]
    const [samples, , height, width] = g.shape as [number, number, number, number]
    const toFirst = (x: tf.Tensor): tf.Tensor =>
      tf.transpose(tf.reshape(x, [samples, height, width, dim]), [0, 3, 1, 2])
    const quantizer = ibq({ dim, codebookSize: size, codebookWeight: c.config['beta'] as number })
    quantizer.load({ 'codes.weight': E })
    const z = tf.variable(rows)
    const { gradients, metrics } = valueAndGradients({ z, ...quantizer.parameters() }, () => {
      const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
      return { loss: tf.add(tf.sum(tf.mul(g, toFirst(quantized))), loss), metrics: { quantized, indices, loss } }
    })
    await expectGolden('indices', metrics['indices']!, c.expected['indices']!, { abs: 0, rel: 0 })
    await expectGolden('quantized', toFirst(metrics['quantized']!), c.expected['quantized']!, c.tolerance)
    await expectGolden('loss', metrics['loss']!, c.expected['loss']!, c.tolerance)
    await expectGolden('grad_z', toFirst(gradients['z']!), c.expected['grad_z']!, c.tolerance)
    await expectGolden('grad_E', gradients['codes.weight']!, c.expected['grad_E']!, c.tolerance)
  })

  it('has the finite differences of the soft choice as gradient of the vectors', async () => {
    const [z, codes] = [key(1).normal<tf.Rank.R2>([6, 3]), key(2).normal<tf.Rank.R2>([5, 3])]
    const indices = tf.tensor1d([0, 1, 2, 3, 4, 0], 'int32')
    const g = key(3).normal<tf.Rank.R2>([6, 3])
    const soft = (x: tf.Tensor2D): tf.Tensor2D => tf.softmax(tf.matMul(x, codes, false, true))
    await checkGradients(({ x }) => tf.matMul(soft(x), codes), { x: z })
    const [through, expected] = [
      tf.grad((x: tf.Tensor) => tf.sum(tf.mul(g, throughIndex(x as tf.Tensor2D, codes, indices, { score: 'dot' }))))(z),
      tf.grad((x: tf.Tensor) => tf.sum(tf.mul(g, tf.matMul(soft(x as tf.Tensor2D), codes))))(z),
    ]
    const [a, b] = [await through.data(), await expected.data()]
    a.forEach((value, i) => expect(value).toBeCloseTo(b[i]!, 5))
  })

  it('moves every code, also those that nothing chose', async () => {
    const quantizer = ibq({ dim: 3, codebookSize: 12, init: (shape, at) => at.normal(shape) })
    const z = tf.ones([1, 3])
    const { gradients } = valueAndGradients(quantizer.parameters(), () => quantizer.quantize(z, { training: true }))
    for (const length of await tf.norm(gradients['codes.weight']!, 2, 1).data()) expect(length).toBeGreaterThan(0)
  })
})

describe('ibq in memory', () => {
  beforeAll(async () => void (await useBackend('wasm')))

  it('holds less than vectors times codes in its backward pass', () => {
    const [n, size] = [4096, 4096]
    const quantizer = ibq({ dim: 4, codebookSize: size, init: (shape, at) => at.normal(shape) })
    const z = tf.variable(key(4).normal([n, 4]))
    let peak = 0
    const before = tf.memory().numBytes
    const engine = tf.engine()
    const original = engine.runKernel.bind(engine)
    engine.runKernel = ((...call: Parameters<typeof original>) => {
      const result = original(...call)
      peak = Math.max(peak, tf.memory().numBytes - before)
      return result
    }) as typeof engine.runKernel
    try {
      const out = valueAndGradients({ z }, () => {
        const { quantized, loss } = quantizer.quantize(z, { training: true })
        return { loss: tf.add(tf.sum(quantized), loss) }
      })
      tf.dispose([out.loss, out.gradients])
    } finally {
      Reflect.deleteProperty(engine, 'runKernel')
    }
    // One matrix of all scores is 64 MiB, and a softmax with its gradient takes some twenty of them.
    expect(peak).toBeLessThan(80 * 2 ** 20)
  })
})
