import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { givenNoise } from '../../golden/given-noise.ts'
import { mixtureMean } from '../../golden/mixture.ts'
import { mixtureDenoiser } from '../../golden/mixture.ts'
import { alphaOf, logSnrOfEdmSigma } from '../../noise-level.ts'
import type { Sampler } from '../../sampler.ts'
import { ddpm } from '../ddpm/ddpm.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { predictorCorrector } from './predictor-corrector.ts'

describe.each(['cpu', 'wasm'] as const)('predictor-corrector on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(predictorCorrector, {
      calls: 8,
      draws: true,
      fromNoise: false,
      badOptions: { corrections: [-1, 0.5], signalToNoise: [0], predictor: ['euler'] },
    }),
  )('$name', ({ run }) => run())
  it.each(
    samplerChecks(predictorCorrector, {
      options: { corrections: 2, predictor: 'ancestral' },
      calls: 12,
      draws: true,
      fromNoise: false,
    }),
  )('$name', ({ run }) => run())

  it('makes the steps of variance that explodes, in double precision', async () => {
    // In EDM's coordinates: Langevin's step along the score, then the reverse diffusion.
    const sigmas = [3, 1.2]
    const draw = (k: number, i: number): number => Math.sin(1 + 2 * k + 3 * i)
    const starts = [
      [2.5, -1.5],
      [-0.5, 3],
    ]
    const expected = starts.flatMap((start, n) => {
      const [from, to] = sigmas as [number, number]
      const score = (y: number[]): number[] => mixtureMean(y, from).map((mean, i) => (mean - y[i]!) / from ** 2)
      const fresh = [0, 1].map((i) => draw(0, 2 * n + i))
      const first = score(start)
      const size = 2 * ((0.15 * Math.hypot(...fresh)) / Math.hypot(...first)) ** 2
      const corrected = start.map((value, i) => value + size * first[i]! + Math.sqrt(2 * size) * fresh[i]!)
      const second = score(corrected)
      const gap = from ** 2 - to ** 2
      return corrected.map((value, i) => value + gap * second[i]! + Math.sqrt(gap) * fresh[i]!)
    })
    const grid = sigmas.map(logSnrOfEdmSigma)
    const x = tf.tensor2d(starts.map((start) => start.map((value) => value * alphaOf(grid[0]!))))
    const end = await predictorCorrector()(mixtureDenoiser(), x, grid, { key: givenNoise(draw) })
    ;(await end.data()).forEach((value, i) => expect(value / alphaOf(grid[1]!)).toBeCloseTo(expected[i]!, 4))
    tf.dispose([x, end])
  })

  it('without corrections is DDPM, by its ancestral predictor', async () => {
    const x = key(1).normal([4, 2])
    const endOf = async (sampler: Sampler): Promise<number[]> => {
      const end = await sampler(mixtureDenoiser(), x, [-3, -1, 1, Infinity], { key: key(2) })
      const values = Array.from(await end.data())
      end.dispose()
      return values
    }
    const expected = await endOf(ddpm())
    ;(await endOf(predictorCorrector({ corrections: 0, predictor: 'ancestral' }))).forEach((value, i) =>
      expect(value).toBeCloseTo(expected[i]!, 5),
    )
    x.dispose()
  })

  it('stays where a denoiser finds no noise', async () => {
    const x = tf.fill([2, 3], 0.5)
    const level = 1
    const end = await predictorCorrector({ predictor: 'ancestral' })(
      (at) => tf.div(at, alphaOf(level)),
      x,
      [level, Infinity],
      { key: key(0) },
    )
    for (const value of await end.data()) expect(value).toBeCloseTo(0.5 / alphaOf(level), 5)
    tf.dispose([x, end])
  })
})
