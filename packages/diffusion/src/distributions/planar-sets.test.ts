import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { expectGolden } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { alphaOf } from '../noise-level.ts'
import { checkerboard, gaussianRing, moons, pinwheel, type PlanarSetOptions, rings, spirals } from './planar-sets.ts'

const sets = { checkerboard, gaussianRing, moons, pinwheel, rings, spirals }

describe.each(['cpu', 'wasm'] as const)('sets in the plane on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(Object.entries(sets))('%s is centred, has labels and a finite mean everywhere', async (_, make) => {
    const set = make()
    const n = 4000
    const { x, labels } = set.sampleLabelled(n, key(1))
    const points = await x.array()
    for (const i of [0, 1]) expect(Math.abs(points.reduce((sum, p) => sum + p[i]!, 0) / n)).toBeLessThan(0.15)
    const known = new Set(await labels.data())
    expect(known.size).toBeGreaterThan(1)
    expect([...known].sort((a, b) => a - b)).toEqual(Array.from({ length: known.size }, (_, i) => i))
    const few = tf.slice(x, 0, 8) as tf.Tensor2D
    // Nearly clean samples are what they are.
    const level = 12
    const near = set.denoise(
      tf.tidy(() => tf.mul(few, alphaOf(level))),
      level,
    )
    await expectGolden('near', near, { shape: [8, 2], values: Array.from(await few.data()) }, { abs: 0.02, rel: 0 })
    const far = tf.mul(few, 100)
    const denoised = set.denoise(far, 15)
    for (const value of await denoised.data()) expect(Number.isFinite(value)).toBe(true)
    tf.dispose([x, labels, few, near, far, denoised])
    set.dispose()
  })

  it.each(Object.entries(sets))('%s refuses what is not positive, and stretches', async (_, make) => {
    expect(() => make({ noise: 0 })).toThrow(/^noise/)
    expect(() => make({ scale: -1 })).toThrow(/^scale/)
    const options: PlanarSetOptions = { noise: 0.2 }
    const [plain, wide] = [make(options), make({ ...options, scale: 3 })]
    const [a, b] = [plain.sample(5, key(2)), wide.sample(5, key(2))]
    await expectGolden(
      'wide',
      b,
      { shape: [5, 2], values: Array.from(await a.data(), (v) => 3 * v) },
      { abs: 1e-5, rel: 1e-5 },
    )
    tf.dispose([a, b])
    plain.dispose()
    wide.dispose()
  })

  it('a fine mixture is the smoothed curve: the density is flat along it', async () => {
    // Around a ring of radius 1.2, off the grid of components.
    const set = rings({ noise: 0.08 })
    const points = Array.from({ length: 50 }, (_, i) => [1.2 * Math.cos(0.0171 * i), 1.2 * Math.sin(0.0171 * i)])
    const x = tf.tensor2d(points)
    const density = set.logDensity(x, Infinity)
    const values = await density.data()
    expect(Math.max(...values) - Math.min(...values)).toBeLessThan(1e-4)
    tf.dispose([x, density])
    set.dispose()
  })

  it('a board is as dense as eight squares, and empty between them', async () => {
    const set = checkerboard()
    const x = tf.tensor2d([
      [-1.5, -1.5],
      [-1.4, -1.6],
      [-0.5, -1.5],
    ])
    const density = set.logDensity(x, Infinity)
    const [inside, elsewhere, between] = await density.data()
    expect(inside).toBeCloseTo(Math.log(1 / 8), 4)
    expect(elsewhere).toBeCloseTo(Math.log(1 / 8), 4)
    expect(between).toBeLessThan(-30)
    tf.dispose([x, density])
    set.dispose()
  })

  it('refuses modes and a radius that are none', () => {
    expect(() => gaussianRing({ modes: 0 })).toThrow(/^modes/)
    expect(() => gaussianRing({ radius: 0 })).toThrow(/^radius/)
    const one = gaussianRing({ modes: 3 })
    expect(one.components).toBe(3)
    one.dispose()
  })
})
