import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkSkipScales } from '../golden/guidance.ts'
import { goldenRecords } from '../golden/golden.ts'
import type { HookedDenoiser } from './network-hooks.ts'
import { perturbedAttention } from './perturbed-attention/perturbed-attention.ts'
import { skipScales, skipTuning } from './skip-tuning/skip-tuning.ts'

/** One self-attention over tokens `[B, L, d]` between two skips, small enough to be written out. */
const network: HookedDenoiser<number> = (
  x,
  _,
  condition = 0,
  { skipScales = [1, 1], identityAttention = false } = {},
) =>
  tf.tidy(() => {
    const [deep, shallow] = skipScales as [number, number]
    const map = tf.softmax(tf.matMul(x as tf.Tensor3D, x as tf.Tensor3D, false, true))
    const mixed = identityAttention ? x : tf.matMul(map, x as tf.Tensor3D)
    const middle = tf.add(tf.tanh(mixed), tf.mul(deep, x))
    return tf.add(tf.add(tf.mul(0.5, middle), tf.mul(shallow, x)), condition)
  })

describe.each(['cpu', 'wasm'] as const)('network hooks on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(goldenRecords('guidance/skip-tuning'))('scales skips as recorded: $id', checkSkipScales)

  it('skip-tuning at 1 changes nothing, and its effect grows with the distance from 1', async () => {
    const x = key(1).normal([2, 3, 4])
    const plain = network(x, 0, 0.1)
    const off = async (bottom: number): Promise<number> => {
      const tuned = skipTuning(network, skipScales({ bottom, levels: 2 }))(x, 0, 0.1)
      const distance = tf.tidy(() => tf.norm(tf.sub(tuned, plain)))
      const [value] = await distance.data()
      tf.dispose([tuned, distance])
      return value!
    }
    const same = skipTuning(network, skipScales({ bottom: 1, levels: 2 }))(x, 0, 0.1)
    expect(await same.data()).toEqual(await plain.data())
    const distances = [await off(1), await off(0.9), await off(0.7), await off(0.4)]
    expect(distances[0]).toBe(0)
    distances.slice(1).forEach((value, i) => expect(value).toBeGreaterThan(distances[i]!))
    tf.dispose([x, plain, same])
  })

  it('perturbed attention leads away from the map of identity', async () => {
    const x = key(2).normal([2, 3, 4])
    const [plain, perturbed] = [network(x, 0, 0.3), network(x, 0, 0.3, { identityAttention: true })]
    const [a, b] = await Promise.all([plain.data(), perturbed.data()])
    expect(a).not.toEqual(b)
    for (const weight of [1, 3]) {
      const got = perturbedAttention(network, { weight })(network)(x, 0, 0.3)
      // In the paper's words, scale s = weight - 1: D + s (D - D').
      const values = Array.from(a, (value, i) => value + (weight - 1) * (value - b[i]!))
      await expectGolden(`weight ${weight}`, got, { shape: [2, 3, 4], values }, { abs: 1e-6, rel: 1e-5 })
      got.dispose()
    }
    expect(await countLeaks(() => perturbedAttention(network, { weight: 3 })(network)(x, 0, 0.3))).toBe(0)
    expect(await countLeaks(() => skipTuning(network, [0.8, 1])(x, 0))).toBe(0)
    tf.dispose([x, plain, perturbed])
  })

  it('refuses bad input by name', () => {
    expect(() => skipScales({ bottom: NaN, levels: 2 })).toThrow(/^bottom/)
    expect(() => skipScales({ bottom: 1, top: Infinity, levels: 2 })).toThrow(/^top/)
    expect(() => skipScales({ bottom: 1, levels: 0 })).toThrow(/^levels/)
    expect(skipScales({ bottom: 0.7, levels: 1 })).toEqual([0.7])
    expect(() => skipTuning(network, [])).toThrow(/^scales/)
    expect(() => skipTuning(network, [1, NaN])).toThrow(/^scales\[1\]/)
    expect(() => perturbedAttention(network, { weight: NaN })).toThrow(/^weight/)
  })
})
