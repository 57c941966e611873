import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { vqEma } from '../methods/vq-ema/vq-ema.ts'
import { vq } from '../methods/vq/vq.ts'
import { largestDot, sampleCodes, sampled } from './sampled.ts'

describe.each(['cpu', 'wasm'] as const)('sampled assignment on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('draws codes as often as the softmax of their scores says', async () => {
    const codes = tf.tensor2d([0, 1, 3], [3, 1])
    const z = tf.zeros<tf.Rank.R2>([20_000, 1])
    for (const temperature of [0.5, 2]) {
      const drawn = await sampleCodes(z, codes, key(1), { temperature }).data()
      const odds = [0, 1, 3].map((distance) => Math.exp(-distance / temperature))
      const total = odds.reduce((a, b) => a + b)
      odds.forEach((odd, code) => {
        const share = drawn.filter((index) => index === code).length / drawn.length
        expect(Math.abs(share - odd / total)).toBeLessThan(0.015)
      })
    }
  })

  it('draws in training alone, and then needs a key', async () => {
    const quantizer = vq({ dim: 2, codebookSize: 8, assign: sampled({ temperature: 5 }), init: (s, k) => k.normal(s) })
    const z = key(2).normal([64, 2])
    const indices = async (options?: { training: true; key: ReturnType<typeof key> }): Promise<number[]> =>
      Array.from(await quantizer.quantize(z, options).indices.data())
    expect(await indices()).toEqual(await indices())
    expect(await indices({ training: true, key: key(3) })).toEqual(await indices({ training: true, key: key(3) }))
    expect(await indices({ training: true, key: key(3) })).not.toEqual(await indices({ training: true, key: key(4) }))
    expect(await indices({ training: true, key: key(3) })).not.toEqual(await indices())
    expect(() => quantizer.quantize(z, { training: true })).toThrow(/^key/)
  })

  it('at temperature 0 takes the best; refuses less', async () => {
    const quantizer = vqEma({
      dim: 2,
      codebookSize: 8,
      assign: sampled({ temperature: 0 }),
      init: (s, k) => k.normal(s),
    })
    const z = key(2).normal([64, 2])
    const before = await quantizer.quantize(z).indices.data()
    expect(await quantizer.quantize(z, { training: true }).indices.data()).toEqual(before)
    expect(() => sampled({ temperature: -1 })).toThrow(/^temperature/)
  })

  it('finds the largest product', async () => {
    const [z, codes] = [key(5).normal<tf.Rank.R2>([33, 4]), key(6).normal<tf.Rank.R2>([9, 4])]
    const products = tf.matMul(z, codes, false, true)
    expect(await largestDot(z, codes).data()).toEqual(await tf.argMax(products, 1).data())
  })
})
