import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { deviceCases, numbers, useCase } from '../testing.ts'
import { attend } from './attend.ts'
import { attendCached } from './attend-cached.ts'

// More keys than a tile of any kernel holds, and no multiple of one.
const [keys, width] = [135, 3]

/** A sequence for every slot, whose queries find the key there far above the others, since the bias says so; values are the slots. */
function everySlot(queries: number): Record<'q' | 'k' | 'v' | 'bias', tf.Tensor4D> {
  const tiled = (x: tf.Tensor4D): tf.Tensor4D => tf.tile(x, [keys, 1, 1, 1])
  return {
    q: tiled(tf.tensor4d(numbers(queries * width, 1), [1, 1, queries, width])),
    k: tiled(tf.tensor4d(numbers(keys * width, 2), [1, 1, keys, width])),
    v: tiled(tf.reshape(tf.range(1, keys + 1), [1, 1, keys, 1])),
    bias: tf.reshape(tf.mul(300, tf.cast(tf.oneHot(tf.range(0, keys, 1, 'int32'), keys), 'float32')), [keys, 1, 1, keys]), // prettier-ignore
  }
}

describe.each(deviceCases)('the greatest score at every slot on $title', (device) => {
  beforeAll(() => useCase(device))

  it.each([1, 33])('is found in a cache that is not full, by %i queries', (queries) => {
    tf.tidy(() => {
      const { q, k, v, bias } = everySlot(queries)
      const length = 133
      const found = attendCached(q, k, v, length, { bias, causal: false }).output.dataSync()
      for (let slot = 0; slot < keys; slot++)
        for (const value of found.slice(slot * queries, (slot + 1) * queries))
          // What lies beyond the length is not there, however high it scores.
          if (slot < length) expect(value).toBeCloseTo(slot + 1, 4)
          else expect(value).toBeLessThan(length)
    })
  })

  it('is found backwards: the value there gets all of the gradient', () => {
    tf.tidy(() => {
      const { q, k, v, bias } = everySlot(2)
      const gradient = tf.grad((x) => tf.sum(attend(q, k, x as tf.Tensor4D, { bias }).output))(v)
      const wanted = tf.mul(2 / 300, tf.reshape(bias, gradient.shape))
      expect(tf.max(tf.abs(tf.sub(gradient, wanted))).dataSync()[0]).toBeLessThan(1e-5)
    })
  })

  it.each([1, 31, 32, 33, 64, 65])('is found to the edges of a window of %i, in a cache with sinks', (window) => {
    tf.tidy(() => {
      const { q, k, v, bias } = everySlot(1)
      const edge = keys - window
      const found = attendCached(q, k, v, keys, { bias, window, sinks: tf.tensor1d([-300]) }).output.dataSync()
      found.forEach((value, slot) => {
        if (slot >= edge) expect(value).toBeCloseTo(slot + 1, 4)
        else expect(value).toBeGreaterThan(edge)
      })
      // A sink that outweighs every key leaves nothing of the values, once and for all tiles.
      const drowned = attendCached(q, k, v, keys, { window, sinks: tf.tensor1d([400]) })
      expect(drowned.output.dataSync()[0]).toBeCloseTo(0, 6)
      expect(drowned.logSumExp.dataSync()[0]).toBeCloseTo(400, 3)
    })
  })
})
