import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { EmaCodebook } from './ema.ts'

describe('an averaged codebook with weights', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  const make = (updateWeight?: (counts: tf.Tensor1D) => tf.Tensor1D): EmaCodebook =>
    new EmaCodebook(3, 2, {
      decay: 0.9,
      init: () =>
        tf.tensor2d([
          [0, 0],
          [2, 0],
          [0, 2],
        ]),
      ...(updateWeight && { updateWeight }),
    })
  const learn = (codebook: EmaCodebook): void => {
    const z = tf.tensor2d([
      [0.5, 0.25],
      [1.5, 0.5],
      [2.5, -0.5],
      [0.25, 1.5],
      [-0.5, 0],
    ])
    const indices = tf.tensor1d([0, 1, 1, 2, 0], 'int32')
    codebook.learn({ z, indices })
    tf.dispose([z, indices])
  }
  const expectNear = (found: tf.Tensor, wanted: number[]): void => {
    const values = found.dataSync()
    expect(values.length).toBe(wanted.length)
    wanted.forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5))
  }

  it('moves each code by its weight, and leaves the sums of what has weight 0', () => {
    const codebook = make((counts) => tf.mul(0.5, tf.cast(tf.greater(counts, 1), 'float32')))
    learn(codebook)
    // n <- 0.95 n + 0.05 count and M likewise, but for the code that one vector chose
    expectNear(codebook.clusterSize, [1.05, 1.05, 1])
    expectNear(codebook.clusterSum, [0, 0.0125, 2.1, 0, 0, 2])
    expectNear(codebook.weight, [0, 0.0125 / 1.05, 2, 0, 0, 2])
  })

  it('is the plain one at weight 1, and leaves nothing behind', () => {
    const [weighted, plain] = [make((counts) => tf.onesLike(counts)), make()]
    const before = tf.memory().numTensors
    for (const codebook of [weighted, plain]) learn(codebook)
    expect(tf.memory().numTensors).toBe(before)
    expectNear(weighted.clusterSize, [1.1, 1.1, 1])
    expectNear(weighted.clusterSum, Array.from(plain.clusterSum.dataSync()))
  })

  it('refuses weights of another shape', () => {
    const codebook = make(() => tf.ones([4]))
    expect(() => learn(codebook)).toThrow(/updateWeight: expected shape \[3\]/)
  })
})
