import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { conformance, expectRefusal } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenCases } from '../../golden/golden.ts'
import { checkRandomProjection } from '../../golden/structures.ts'
import { randomProjection } from './random-projection.ts'

describe.each(['cpu', 'wasm'] as const)('random-projection on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  describe.each([1, 3])('%i codebooks', (codebooks) => {
    const checks = conformance(randomProjection, {
      options: (k) => ({ dim: 6, codebookSize: 8, codeDim: 4, codebooks, key: k }),
      badOptions: { dim: [0], codebookSize: [0], codeDim: [0], codebooks: [0], normalise: ['yes'] },
      call: (made, k) => tf.tidy(() => ({ labels: made.label(k.normal([5, 7, 6])), codes: made.codebook() })),
    })
    it.each(checks)('$name', ({ run }) => run())
  })

  it.each(goldenCases('random-projection'))('has the labels of the reference: $id', checkRandomProjection)

  it('has nothing to train, with one codebook or several: no hidden projection', () => {
    for (const codebooks of [1, 4]) {
      const labeller = randomProjection({ dim: 5, codebookSize: 8, codeDim: 3, codebooks })
      expect(labeller.parameters()).toEqual({})
      expect(Object.keys(labeller.state())).toEqual(['projection', 'codes'])
    }
  })

  it('labels by direction alone, whatever stands beside, and -1 where masked', async () => {
    const labeller = randomProjection({ dim: 6, codebookSize: 32, codeDim: 4, codebooks: 2, normalise: false })
    const z = key(1).normal([9, 6])
    const [plain, scaled] = [await labeller.label(z).data(), await labeller.label(tf.mul(z, 7)).data()]
    expect(scaled).toEqual(plain)
    const mask = tf.tensor1d([1, 1, 1, 0, 1, 1, 1, 1, 0])
    const masked = (await labeller.label(z, { mask }).array()) as number[][]
    masked.forEach((row, i) =>
      expect(row).toEqual(i === 3 || i === 8 ? [-1, -1] : Array.from(plain.slice(2 * i, 2 * i + 2))),
    )
    const wide = randomProjection({ dim: 6, codebookSize: 32 })
    expect(await wide.label(tf.add(tf.mul(z, 3), 5)).data()).toEqual(await wide.label(z).data())
    expect(wide.label(key(2).normal([6])).shape).toEqual([])
  })

  it('refuses bad input by name', () => {
    const labeller = randomProjection({ dim: 6, codebookSize: 8 })
    expectRefusal('z', () => labeller.label(tf.zeros([2, 5])))
    expectRefusal('z', () => labeller.label(tf.fill([2, 6], Number.NaN)))
    expectRefusal('mask', () => labeller.label(tf.zeros([2, 6]), { mask: tf.ones([3]) }))
  })
})
