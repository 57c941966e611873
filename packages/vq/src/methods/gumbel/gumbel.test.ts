import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { distanceScore } from '../../assignment/scores.ts'
import { throughIndex } from '../../estimators/soft-index.ts'
import { checkGumbel } from '../../golden/estimators.ts'
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

  it.each(goldenCases('gumbel'))('draws and differentiates as the reference: $id', checkGumbel)

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
