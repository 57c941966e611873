import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, countLeaks } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldenRecord, goldenRecords, numbersOf } from '../../golden/golden.ts'
import { mixtureDenoiser, mixtureStarts } from '../../golden/mixture.ts'
import { mixtureGrid, sampleMixture } from '../../golden/mixture-runs.ts'
import type { Denoiser } from '../../denoiser.ts'
import type { Grid } from '../../grid.ts'
import { alphaOf, edmSigmaOf, logSnrOfEdmSigma } from '../../noise-level.ts'
import type { Sampler } from '../../sampler.ts'
import { ddim } from '../ddim/ddim.ts'
import { dpmSolverMultistep } from '../dpm-solver-multistep/dpm-solver-multistep.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { amed } from './amed.ts'
import { AmedPredictor, fitAmedPredictor } from './amed-predictor.ts'
import { insertAmedPoints, trainAmed, trainAmedGrid } from './train-amed.ts'

/** Samples to learn from, at the first level of the mixture's grids. */
function training(): tf.Tensor2D {
  return key(8).normal([32, 2])
}

/** How far a sampler ends from the exact trajectories. */
async function errorOf(sampler: Sampler, grid: Grid): Promise<number> {
  const exact = numbersOf(goldenRecord('gmm-exact-0.02').expected['end'])
  const ends = await sampleMixture(sampler, grid)
  return Math.sqrt(ends.reduce((sum, value, i) => sum + (value - exact[i]!) ** 2, 0) / ends.length)
}

describe.each(['cpu', 'wasm'] as const)('amed on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const points = [{ position: 0.4 }, { position: 0.3, scale: 1.01 }, { position: 0.5, noise: 0.9 }, { position: 0.6 }]
  it.each(
    samplerChecks(amed, {
      calls: 8,
      badOptions: { points: [[{ position: 0 }], [{ position: 1 }], [{}], 0.5], freeFirstSlope: [1] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(amed, { options: { freeFirstSlope: true }, calls: 7 }))('$name', ({ run }) => run())

  it.each(goldenRecords('amed'))('makes the step of the reference: $id', async ({ params, expected }) => {
    const [from, to] = [params['tCur'] as number, params['tNext'] as number].map(logSnrOfEdmSigma) as [number, number]
    const [position, scale, noise] = [params['r'] as number, params['c'] as number, params['a'] as number]
    const x = tf.tensor2d(mixtureStarts.slice(0, 3).map((start) => start.map((value) => (value / 4) * alphaOf(from))))
    for (const freeFirstSlope of [false, true]) {
      const seen: { x: number[]; level: number }[] = []
      const exact = mixtureDenoiser()
      const watched: Denoiser = (at, level) => {
        seen.push({ x: Array.from(at.dataSync(), (value) => value / alphaOf(level)), level })
        return exact(at, level)
      }
      const end = await amed({ points: [{ position, scale, noise }], freeFirstSlope })(watched, x, [from, to])
      const wanted = numbersOf(expected[freeFirstSlope ? 'xNextAfs' : 'xNext'])
      Array.from(await end.data()).forEach((value, i) =>
        expect(Math.abs(value / alphaOf(to) - wanted[i]!)).toBeLessThan(1e-4),
      )
      const within = seen.at(-1)!
      expect(edmSigmaOf(within.level)).toBeCloseTo(noise * (expected['s'] as number), 9)
      if (!freeFirstSlope)
        numbersOf(expected['y']).forEach((value, i) => expect(Math.abs(within.x[i]! - value)).toBeLessThan(1e-4))
      end.dispose()
    }
    x.dispose()
  })

  it('wants a point for each step', async () => {
    await expect(sampleMixture(amed({ points }), mixtureGrid('karras', 3))).rejects.toThrow(
      'points: expected one for each of 3 steps, got 4',
    )
    expect(() => insertAmedPoints([0, 1, 2], points)).toThrow(/^points/)
    expect(insertAmedPoints([-Infinity, 0, 2, Infinity], points.slice(1))).toEqual([-Infinity, 0, 1, 2, Infinity])
  })

  it('learns points with which six calls beat other samplers’ six', async () => {
    const x = training()
    const grid = mixtureGrid('karras', 3)
    const learned = await trainAmed(mixtureDenoiser(), x, grid)
    const withRanges = await trainAmed(mixtureDenoiser(), x, grid, { scaleRange: 0.01, noiseRange: 0.2 })
    x.dispose()
    for (const { scale, noise } of withRanges) {
      expect(Math.abs(scale! - 1)).toBeLessThanOrEqual(0.01 + 1e-12)
      expect(Math.abs(noise! - 1)).toBeLessThanOrEqual(0.2 + 1e-12)
    }
    const error = await errorOf(amed({ points: learned }), grid)
    const fine = mixtureGrid('karras', 6)
    expect(error).toBeLessThan(0.7 * (await errorOf(ddim(), fine)))
    expect(error).toBeLessThan(0.7 * (await errorOf(dpmSolverMultistep(), fine)))
    expect(error).toBeLessThan(0.7 * (await errorOf(amed(), grid)))
    expect(await errorOf(amed({ points: withRanges }), grid)).toBeLessThan(1.1 * error)
  })

  it.each<[string, Sampler]>([
    ['forgets', ddim()],
    ['remembers', dpmSolverMultistep({ lowerOrderFinal: false })],
  ])('learns levels for a sampler that %s', async (_, sampler) => {
    const x = training()
    const grid = mixtureGrid('karras', 3)
    const learned = await trainAmedGrid(mixtureDenoiser(), x, grid, { sampler })
    x.dispose()
    expect(learned).toHaveLength(7)
    expect(learned.filter((_, i) => i % 2 === 0)).toEqual(grid)
    const error = await errorOf(sampler, learned)
    expect(error).toBeLessThan(0.95 * (await errorOf(sampler, mixtureGrid('karras', 6))))
    const middle = Array.from({ length: 3 }, () => ({ position: 0.5 }))
    expect(error).toBeLessThan(0.95 * (await errorOf(sampler, insertAmedPoints(grid, middle))))
  })
})

describe('AmedPredictor', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it('answers for a grid that it has not seen', async () => {
    const x = training()
    const tables = []
    for (const n of [2, 3, 5, 6]) {
      const grid = mixtureGrid('karras', n)
      tables.push({ grid, points: await trainAmed(mixtureDenoiser(), x, grid) })
    }
    x.dispose()
    const predictor = new AmedPredictor({ key: key(1) })
    const before = await fitAmedPredictor(predictor, tables, { steps: 0 })
    expect(await fitAmedPredictor(predictor, tables, { steps: 400 })).toBeLessThan(before / 4)
    const grid = mixtureGrid('karras', 4)
    const points = await predictor.pointsOf(grid)
    expect(await errorOf(amed({ points }), grid)).toBeLessThan(0.8 * (await errorOf(amed(), grid)))
    predictor.dispose()
  })

  it('has the gradients of finite differences, and stays within its ranges', async () => {
    const predictor = new AmedPredictor({ hidden: 4, scaleRange: 0.01, noiseRange: 0.2, key: key(2) })
    const levels = tf.tensor2d([
      [-6, -2],
      [-2, 3],
    ])
    await checkGradients(() => predictor.forward(levels), predictor.parameters())
    for (const { position, scale, noise } of await predictor.pointsOf([-6, -2, 3, Infinity].slice(0, 3))) {
      expect(position > 0 && position < 1).toBe(true)
      expect(Math.abs(scale! - 1)).toBeLessThanOrEqual(0.011)
      expect(Math.abs(noise! - 1)).toBeLessThanOrEqual(0.21)
    }
    expect((await predictor.pointsOf([-Infinity, 0, Infinity])).map(({ position }) => position)).toEqual([0.5, 0.5])
    levels.dispose()
    predictor.dispose()
  })

  it('leaves no tensor behind, nor does the search, also when it is stopped', async () => {
    const x = training()
    const grid = mixtureGrid('karras', 2)
    const predictor = new AmedPredictor({ hidden: 4 })
    const table = { grid, points: [{ position: 0.3 }, { position: 0.6 }] }
    expect(await countLeaks(() => fitAmedPredictor(predictor, [table], { steps: 2 }))).toBe(0)
    expect(await countLeaks(() => predictor.pointsOf(grid))).toBe(0)
    const short = { extra: 1, scaleRange: 0.01, noiseRange: 0.1 }
    expect(
      await countLeaks(() => trainAmed(mixtureDenoiser(), x, [-Infinity, ...grid.slice(1), Infinity], short)),
    ).toBe(0)
    expect(await countLeaks(() => trainAmedGrid(mixtureDenoiser(), x, grid, { sampler: ddim(), extra: 1 }))).toBe(0)
    for (const fails of [1, 8, 12, 20]) {
      const stopped = async (): Promise<void> => {
        let count = 0
        const controller = new AbortController()
        const exact = mixtureDenoiser()
        const denoiser: Denoiser = (at, level) => {
          if (++count === fails) controller.abort(new Error('enough'))
          return exact(at, level)
        }
        const { signal } = controller
        await expect(trainAmed(denoiser, x, grid, { ...short, signal })).rejects.toThrow('enough')
        await expect(trainAmedGrid(denoiser, x, grid, { sampler: ddim(), signal })).rejects.toThrow('enough')
      }
      expect(await countLeaks(stopped)).toBe(0)
    }
    predictor.dispose()
    x.dispose()
  })

  it('refuses bad input by name', async () => {
    const x = training()
    const grid = mixtureGrid('karras', 2)
    expect(() => new AmedPredictor({ hidden: 0 })).toThrow(/^hidden/)
    expect(() => new AmedPredictor({ scaleRange: 1 })).toThrow(/^scaleRange/)
    expect(() => new AmedPredictor({ noiseRange: -0.1 })).toThrow(/^noiseRange/)
    const predictor = new AmedPredictor()
    await expect(fitAmedPredictor(predictor, [])).rejects.toThrow(/^tables/)
    await expect(fitAmedPredictor(predictor, [{ grid, points: [] }])).rejects.toThrow(/^tables\[0\]/)
    await expect(predictor.pointsOf([1, 0])).rejects.toThrow(/^grid/)
    await expect(trainAmed(mixtureDenoiser(), x, grid, { scaleRange: 1 })).rejects.toThrow(/^scaleRange/)
    await expect(trainAmed(mixtureDenoiser(), x, grid, { noiseRange: -1 })).rejects.toThrow(/^noiseRange/)
    await expect(trainAmed(mixtureDenoiser(), x, grid, { extra: 0 })).rejects.toThrow(/^extra/)
    await expect(trainAmed(mixtureDenoiser(), x, [0])).rejects.toThrow(/^grid/)
    await expect(trainAmedGrid(mixtureDenoiser(), x, grid, { sampler: 'ddim' as unknown as Sampler })).rejects.toThrow(
      /^sampler/,
    )
    predictor.dispose()
    x.dispose()
  })
})
