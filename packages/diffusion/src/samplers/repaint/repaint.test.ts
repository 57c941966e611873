import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { componentsOf, mixture, mixtureDenoiser } from '../../golden/mixture.ts'
import { alphaOf, sigmaOf } from '../../noise-level.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { repaint } from './repaint.ts'

await useBackend('cpu')
const known = tf.tensor2d([[0.4, -0.2]])
const mask = tf.tensor2d([[1, 0]])

describe.each(['cpu', 'wasm'] as const)('repaint on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(repaint, {
      options: { known, mask, jumpLength: 2, repeats: 3 },
      // Four steps, and the last two twice more.
      calls: 8,
      draws: true,
      badOptions: { known: [[1]], mask: [null], jumpLength: [0], repeats: [0], eta: [2] },
    }),
  )('$name', ({ run }) => run())
  it.each(
    samplerChecks(repaint, { options: { known, mask, jumpLength: 1, repeats: 2, eta: 0 }, calls: 7, draws: true }),
  )('$name', ({ run }) => run())

  it('keeps what is known, exactly at clean and as noisy as the level elsewhere', async () => {
    const x = key(1).normal([400, 2])
    const sampler = repaint({ known, mask, jumpLength: 2, repeats: 2 })
    const clean = await sampler(mixtureDenoiser(), x, [-4, -2, 0, 2, Infinity], { key: key(2) })
    const ends = await clean.data()
    for (let i = 0; i < ends.length; i += 2) expect(ends[i]).toBeCloseTo(0.4, 6)
    const noisy = await sampler(mixtureDenoiser(), x, [-4, -2, 0, 2], { key: key(2) })
    const first = Array.from(await noisy.data()).filter((_, i) => i % 2 === 0)
    const off = first.map((value) => (value - alphaOf(2) * 0.4) / sigmaOf(2))
    const mean = off.reduce((a, b) => a + b, 0) / off.length
    const variance = off.reduce((sum, value) => sum + (value - mean) ** 2, 0) / off.length
    // Five standard errors of 400 draws.
    expect(Math.abs(mean)).toBeLessThan(0.25)
    expect(Math.abs(variance - 1)).toBeLessThan(0.36)
    tf.dispose([x, clean, noisy])
  })

  it('makes the rest agree with it, the better the more it repeats', async () => {
    // Two Gaussians on a diagonal: who knows one coordinate knows the other.
    const diagonal = {
      ...componentsOf(mixture, [0, 1]),
      means: [
        [1.5, 1.5],
        [-1.5, -1.5],
      ],
      variances: [0.04, 0.04],
      weights: [0.5, 0.5],
    }
    const x = key(3).normal([150, 2])
    const there = tf.tensor2d([[1.5, 0]])
    const grid = [-6, -4, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 4, Infinity]
    const share = async (repeats: number): Promise<number> => {
      const end = await repaint({ known: there, mask, jumpLength: 3, repeats })(mixtureDenoiser(diagonal), x, grid, {
        key: key(4),
      })
      const values = Array.from(await end.data())
      end.dispose()
      return values.filter((value, i) => i % 2 === 1 && value > 0).length / 150
    }
    const [once, often] = [await share(1), await share(5)]
    expect(often).toBeGreaterThan(once)
    expect(often).toBeGreaterThan(0.9)
    tf.dispose([x, there])
  })

  it('refuses what does not go with x', async () => {
    const x = key(1).normal([3, 2])
    const run = (options: { known: tf.Tensor; mask: tf.Tensor }): Promise<tf.Tensor> =>
      repaint(options)(mixtureDenoiser(), x, [-1, 1], { key: key(2) })
    const [flat, wide] = [tf.zeros([2]), tf.zeros([2, 2])]
    const before = tf.memory().numTensors
    await expect(run({ known: wide, mask })).rejects.toThrow(/^known: expected dimensions of 1 or those of x, \[3, 2\]/)
    await expect(run({ known, mask: flat })).rejects.toThrow(/^mask: expected dimensions/)
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose([x, flat, wide])
  })
})
