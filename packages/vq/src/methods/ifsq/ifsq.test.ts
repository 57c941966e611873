import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkIfsq } from '../../golden/finite-scalar.ts'
import { goldenCases } from '../../golden/golden.ts'
import { measureQuantizer } from '../../metrics.ts'
import { sigmoidBound } from '../../scalar/bounds.ts'
import { quantizerConformance } from '../../testing/index.ts'
import { ifsq, type IfsqOptions } from './ifsq.ts'

describe.each(['cpu', 'wasm'] as const)('ifsq on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: IfsqOptions[] = [{ levels: [5, 3, 7] }, { levels: [9, 3], codebooks: 2, normalise: true }]
  describe.each(examples)('%o', (options) => {
    const checks = quantizerConformance(ifsq, {
      options: () => options,
      badOptions: { levels: [[], [4], [5, 8], [1]], codebooks: [0], normalise: ['yes'] },
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('ifsq'))('has the values and gradients of the authors: $id', checkIfsq)

  it('has the gradient of its bound', async () => {
    const bound = sigmoidBound([5, 7])
    await checkGradients(({ x }) => bound.value(bound.position(x)), { x: key(1).normal([6, 2]) })
  })

  it('makes normal numbers more uniform than tanh does, before rounding', async () => {
    const z = key(2).normal([20_000, 1])
    /** The greatest distance between the distribution of numbers in [-1, 1] and the uniform one. */
    const unevenness = async (x: tf.Tensor): Promise<number> => {
      const sorted = Array.from(await x.data()).toSorted((a, b) => a - b)
      return Math.max(...sorted.map((value, i) => Math.abs((value + 1) / 2 - (i + 0.5) / sorted.length)))
    }
    const ours = await unevenness(tf.sub(tf.div(sigmoidBound([9]).position(z), 4), 1))
    expect(ours).toBeLessThan(0.025)
    expect(await unevenness(tf.tanh(z))).toBeGreaterThan(1.5 * ours)
  })

  it('stays in range', async () => {
    const { indices, quantized } = ifsq({ levels: [9] }).quantize(tf.tensor2d([[1e9], [-1e9], [0]]))
    expect(await indices.data()).toEqual(Int32Array.from([8, 0, 4]))
    expect(await quantized.data()).toEqual(Float32Array.from([1, -1, 0]))
  })

  it('uses the outermost levels half as much, as rounding to the ends does', async () => {
    const { codebooks } = await measureQuantizer(ifsq({ levels: [9] }), [key(3).normal([20_000, 1])])
    const { counts } = codebooks[0]!
    for (const end of [counts[0]!, counts[8]!]) expect(end / counts[4]!).toBeLessThan(0.75)
  })
})
