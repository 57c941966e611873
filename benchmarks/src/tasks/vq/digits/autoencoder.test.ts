import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { DigitsAutoencoder, tokens } from './autoencoder.ts'
import { digits } from './digits.ts'
import { makeQuantizer } from './quantizers.ts'

beforeAll(async () => {
  await useBackend('wasm')
})

const variants = Object.entries(digits.methods).flatMap(([method, all]) =>
  all.map((params) => [method, params] as const),
)

describe.each(variants)('the autoencoder with %s %j', (method, params) => {
  const make = (): DigitsAutoencoder => new DigitsAutoencoder(makeQuantizer(method, params, key(1)), key(2))

  it('maps digits to digits through 8 codes of 512, and keeps no tensor', () => {
    const before = tf.memory().numTensors
    const model = make()
    const x = key(3).uniform<tf.Rank.R2>([5, 784])
    const tidied = tf.tidy(() => {
      const { digits, quantization } = model.forward(x, { training: true, key: key(4) })
      return { ...quantization, ...quantization.terms, digits }
    })
    const { digits, indices } = tidied
    expect(digits.shape).toEqual([5, 784])
    expect(indices.shape).toEqual([5, tokens])
    // iFSQ has odd numbers of levels, whose product is never 512.
    expect(model.quantizer.codebookSize).toBe(method === 'ifsq' ? 441 : 512)
    const values = digits.dataSync()
    expect(values.every((value) => value > 0 && value < 1)).toBe(true)
    x.dispose()
    tf.dispose(tidied as unknown as tf.TensorContainer)
    model.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it('has gradients everywhere in front of and behind the codes', () => {
    const model = make()
    const x = key(3).uniform<tf.Rank.R2>([5, 784])
    const { gradients } = valueAndGradients(model.parameters(), () => {
      const { digits, quantization } = model.forward(x, { training: true, key: key(4) })
      return { loss: tf.add(tf.mean(tf.squaredDifference(digits, x)), quantization.loss) as tf.Scalar }
    })
    for (const path of Object.keys(model.parameters())) {
      expect(
        gradients[path]?.dataSync().some((value) => value !== 0),
        path,
      ).toBe(true)
    }
    tf.dispose([x, gradients])
    model.dispose()
  })
})

describe('methods', () => {
  it('start from the same weights at the same seed', () => {
    const weights = ['vq', 'simvq'].map((method) => {
      const model = new DigitsAutoencoder(makeQuantizer(method, { codebookSize: 512 }, key(1)), key(2))
      const values = model.parameters()['encoder.0.weight']!.dataSync().slice()
      model.dispose()
      return values
    })
    expect(weights[0]).toEqual(weights[1])
  })

  it('that are unknown are refused', () => {
    expect(() => makeQuantizer('none', {}, key(0))).toThrow(/method: unknown "none"; known: vq/)
  })
})
