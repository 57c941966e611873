import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, conformance, countLeaks } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { crossAttention } from './cross.ts'

describe.each(['cpu', 'wasm'] as const)('cross-attention on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const small = { dim: 8, contextDim: 6, heads: 4, groups: 2, qkNorm: true, sinks: 'learned' as const, bias: true }
  const checks = conformance(crossAttention, {
    options: (k) => ({ ...small, key: k }),
    badOptions: { contextDim: [0], groups: [0, 3], heads: [0], causal: [true], positions: [1], window: [2] },
    call: (made, k) => {
      const [x, context] = [k.normal<tf.Rank.R3>([2, 3, 8]), k.normal<tf.Rank.R3>([2, 5, 6])]
      const y = made.forward(x, context)
      tf.dispose([x, context])
      return { y }
    },
  })
  it.each(checks)('$name', ({ run }) => run())

  it('reads a context that was remembered as it reads it directly, mask and all', async () => {
    const cross = crossAttention({ ...small, key: key(1) })
    const [x, context] = [key(2).normal<tf.Rank.R3>([2, 3, 8]), key(3).normal<tf.Rank.R3>([2, 5, 6])]
    const mask = tf.tensor2d([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]) // prettier-ignore
    const cache = cross.remember(context)
    expect(cache.bytes).toBe(2 * 5 * 2 * 2 * 2 * 4)
    for (const options of [{}, { mask }]) {
      const wanted = cross.forward(x, context, options).dataSync()
      for (let again = 0; again < 2; again++)
        cross.forward(x, cache, options).dataSync().forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5)) // prettier-ignore
    }
    expect(cache.lengths).toEqual([5, 5])
    cache.dispose()
  })

  it('has the gradients of finite differences, towards both sequences', async () => {
    const cross = crossAttention({ ...small, key: key(1) })
    const [x, context] = [key(2).normal<tf.Rank.R3>([1, 3, 8]), key(3).normal<tf.Rank.R3>([1, 4, 6])]
    await checkGradients(
      (inputs) => cross.forward(inputs.x as tf.Tensor3D, inputs.context as tf.Tensor3D),
      { x, context, ...cross.parameters() },
      { elements: 4, step: 2 ** -7, tolerance: 4e-3 },
    )
  })

  it('leaks nothing, and refuses what does not fit', async () => {
    const cross = crossAttention({ ...small, key: key(1) })
    const [x, context] = [key(2).normal<tf.Rank.R3>([2, 3, 8]), key(3).normal<tf.Rank.R3>([2, 5, 6])]
    expect(await countLeaks(() => cross.forward(x, context))).toBe(0)
    const cache = cross.remember(context)
    expect(await countLeaks(() => cross.forward(x, cache))).toBe(0)
    expect(() => cross.forward(context, context)).toThrow(/^x: expected shape/)
    expect(() => cross.forward(x, x)).toThrow(/^context: expected shape/)
    expect(() => cross.forward(x, tf.zeros([3, 5, 6]))).toThrow(/^context: expected a batch of 2/)
    expect(() => cross.forward(x, cross.remember(tf.zeros([1, 5, 6])))).toThrow(/^context: expected what remember/)
    expect(() => cross.forward(x, cache, { training: true })).toThrow(/^context: no gradient/)
    expect(() => cross.forward(x, context, { mask: tf.ones([3, 4]) })).toThrow(/^mask: expected \[3, 5\]/)
    expect(() => crossAttention({ ...small, groups: 3 })).toThrow(/^groups/)
  })
})
