import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients, expectGolden, goldenTensor } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { sampleCodes } from '../../assignment/sampled.ts'
import { distanceScore } from '../../assignment/scores.ts'
import { softOneHot, throughIndex } from '../../estimators/soft-index.ts'
import { goldenCases } from '../../golden/golden.ts'
import { choiceEntropy } from '../../losses/entropy.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { gumbel } from './gumbel.ts'

describe.each(['cpu', 'wasm'] as const)('gumbel on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const checks = quantizerConformance(gumbel, {
    options: (k) => ({ dim: 4, codebookSize: 16, init: (shape, at) => at.normal(shape), key: k }),
    badOptions: {
      dim: [0],
      codebookSize: [0],
      temperature: [0, -1],
      prior: [-1],
      commitment: [-1],
      codebookWeight: [-1],
    },
    nearest: true,
  })
  it.each(checks)('$name', ({ run }) => run())

  it.each(goldenCases('gumbel'))('draws and differentiates as the reference: $id', async (c) => {
    const flat = (name: string): tf.Tensor2D => {
      const x = goldenTensor(c.inputs[name]!)
      return tf.reshape<tf.Rank.R2>(x, [-1, x.shape.at(-1)!])
    }
    const [z, E, noise, g] = ['z', 'E', 'noise', 'g'].map(flat) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
    const temperature = c.config['temperature'] as number
    const logits = distanceScore(z, E)
    const like = (x: tf.Tensor, name: string): tf.Tensor => tf.reshape(x, [...c.expected[name]!.shape])
    await expectGolden('logits', like(logits, 'logits'), c.expected['logits']!, c.tolerance)
    const indices = sampleCodes(z, E, noise, { temperature })
    await expectGolden('indices', like(indices, 'indices'), c.expected['indices']!, { abs: 0, rel: 0 })
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(g, softOneHot(x as tf.Tensor2D, indices, temperature))))(
      logits,
    )
    await expectGolden('grad_logits', like(gradient, 'grad_logits'), c.expected['grad_logits']!, c.tolerance)
  })

  it('has the finite differences of the soft choice as gradient, through distances too', async () => {
    const [z, codes] = [key(1).normal<tf.Rank.R2>([6, 3]), key(2).normal<tf.Rank.R2>([5, 3])]
    const soft = (x: tf.Tensor2D, e: tf.Tensor2D): tf.Tensor => tf.softmax(tf.div(distanceScore(x, e), 0.7))
    await checkGradients(({ x, e }) => soft(x, e), { x: z, e: codes })
    const indices = tf.tensor1d([0, 1, 2, 3, 4, 0], 'int32')
    const g = key(3).normal<tf.Rank.R2>([6, 3])
    const [through, expected] = [
      tf.grad((x: tf.Tensor) =>
        tf.sum(tf.mul(g, throughIndex(x as tf.Tensor2D, codes, indices, { temperature: 0.7 }))),
      )(z),
      tf.grad((x: tf.Tensor) => tf.sum(tf.mul(g, tf.matMul(soft(x as tf.Tensor2D, codes) as tf.Tensor2D, codes))))(z),
    ]
    const [a, b] = [await through.data(), await expected.data()]
    a.forEach((value, i) => expect(value).toBeCloseTo(b[i]!, 5))
  })

  it('asks for more even choices by its prior', async () => {
    const [z, codes] = [key(4).normal<tf.Rank.R2>([6, 3]), key(5).normal<tf.Rank.R2>([5, 3])]
    const options = { temperature: 1.3 }
    await checkGradients(({ x, e }) => choiceEntropy(x, e, null, options), { x: z, e: codes })
    const at = async (same: tf.Tensor2D): Promise<number> => (await choiceEntropy(z, same, null, options).data())[0]!
    expect(await at(tf.ones([5, 3]))).toBeCloseTo(Math.log(5), 5)
    expect(await at(codes)).toBeLessThan(Math.log(5))
  })

  it('gives every code a gradient', async () => {
    const quantizer = gumbel({ dim: 3, codebookSize: 12, init: (shape, at) => at.normal(shape) })
    const z = tf.ones([1, 3])
    const { gradients } = valueAndGradients(quantizer.parameters(), () => ({
      loss: tf.sum(quantizer.quantize(z, { training: true, key: key(6) }).quantized),
    }))
    for (const length of await tf.norm(gradients['codes.weight']!, 2, 1).data()) expect(length).toBeGreaterThan(0)
  })
})
