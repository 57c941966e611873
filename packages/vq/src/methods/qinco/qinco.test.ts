import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, useBackend, valueAndGradients } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { quantizerConformance } from '../../testing/index.ts'
import { qinco, type QincoOptions } from './qinco.ts'

const spread = (shape: [number, number], k: Key): tf.Tensor2D => k.normal(shape)
const small = { dim: 3, codebookSize: 6, layers: 3, depth: 1, init: spread }

describe.each(['cpu', 'wasm'] as const)('qinco on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const examples: [string, QincoOptions][] = [
    ['three layers', small],
    ['deeper and wider, block by block', { ...small, layers: 2, depth: 2, hidden: 5, block: 12 }],
    ['one layer', { ...small, layers: 1 }],
  ]
  describe.each(examples)('%s', (_, options) => {
    const checks = quantizerConformance(qinco, {
      options: (k) => ({ ...options, key: k }),
      badOptions: {
        dim: [0],
        codebookSize: [0],
        layers: [0],
        hidden: [0],
        depth: [-1],
        commitment: [-1],
        codebookWeight: [-1],
        block: [0],
      },
      fixedCodes: false,
      rounding: 1e-5,
      nearest: false,
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it('takes the nearest of the images of all codes, in blocks of any size', async () => {
    const z = key(1).normal([10, 3])
    const whole = qinco(small)
    const { indices } = whole.quantize(z)
    for (const block of [1, 6, 20])
      expect(
        await qinco({ ...small, block })
          .quantize(z)
          .indices.data(),
      ).toEqual(await indices.data())
    // Every other code of the second layer, after the same first one, is farther away.
    const two = qinco({ ...small, layers: 2 })
    const chosen = (await two.quantize(z).indices.array()) as number[][]
    const vectors = (await z.array()) as number[][]
    const distances = await Promise.all(
      Array.from({ length: 6 }, async (_, k) => {
        const other = tf.tensor2d(
          chosen.map(([first]) => [first!, k]),
          [10, 2],
          'int32',
        )
        const decoded = (await two.decode(other).array()) as number[][]
        return decoded.map((q, i) => Math.hypot(...q.map((x, j) => x - vectors[i]![j]!)))
      }),
    )
    chosen.forEach(([, second], i) => {
      const least = Math.min(...distances.map((row) => row[i]!))
      expect(distances[second!]![i]).toBeLessThanOrEqual(least + 1e-5)
    })
  })

  it('trains codes and networks, and gives the encoder the gradient once', async () => {
    const quantizer = qinco({ ...small, codebookSize: 8 })
    const z = key(2).normal([64, 3])
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(quantizer.quantize(x).quantized))(z)
    expect(await gradient.data()).toEqual(new Float32Array(192).fill(1))
    const error = async (): Promise<number> =>
      (await tf.mean(tf.squaredDifference(z, quantizer.quantize(z).quantized)).data())[0]!
    const before = await error()
    for (let step = 0; step < 40; step++) {
      const { gradients, loss } = valueAndGradients(quantizer.parameters(), () =>
        quantizer.quantize(z, { training: true }),
      )
      for (const [name, parameter] of Object.entries(quantizer.parameters()))
        parameter.assign(tf.tidy(() => tf.sub(parameter, tf.mul(0.3, gradients[name]!))))
      tf.dispose([gradients, loss])
    }
    expect(await error()).toBeLessThan(before * 0.7)
  })
})
