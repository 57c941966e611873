import * as tf from '@tensorflow/tfjs-core'
import { expect } from 'vitest'
import type { Grid } from '../grid.ts'
import { alphaOf, edmSigmaOf, logSnrOfEdmSigma } from '../noise-level.ts'
import type { Sampler, SampleOptions } from '../sampler.ts'
import { givenNoise } from './given-noise.ts'
import { type GoldenRecord, goldenRecords, noiseValues, numbersOf } from './golden.ts'
import { mixtureDenoiser, mixtureSigmas, mixtureStarts } from './mixture.ts'

/** The recorded end points of one sampler on the mixture, with and without a last step to clean. */
export function mixtureRuns(sampler: string): GoldenRecord[] {
  const found = [...goldenRecords('gmm/endpoint'), ...goldenRecords('gmm/endpoint-zero')].filter(
    ({ params }) => params['sampler'] === sampler,
  )
  if (found.length === 0) throw new RangeError(`sampler: no golden record of "${sampler}"`)
  return found
}

/** Runs a record by a sampler and compares the end points with it. */
export async function expectMixtureRun({ kind, params, expected }: GoldenRecord, sampler: Sampler): Promise<void> {
  const zero = kind === 'gmm/endpoint-zero'
  const spacing = zero ? 'karras' : (params['grid'] as 'karras' | 'log')
  const grid = mixtureGrid(spacing, zero ? 7 : (params['n'] as number))
  const got = await sampleMixture(sampler, zero ? [...grid, Infinity] : grid)
  // What tells apart two samplings of float32: 1e-3 of the size of a sample.
  numbersOf(expected['end']).forEach((value, i) =>
    expect(Math.abs(got[i]! - value), `element ${i}: ${got[i]}, expected ${value}`).toBeLessThan(2e-3),
  )
}

/** The recorded end points of one sampler on the mixture under recorded noise. */
export function noisyMixtureRuns(sampler: string): GoldenRecord[] {
  const found = goldenRecords('gmm/stochastic').filter(({ params }) => params['sampler'] === sampler)
  if (found.length === 0) throw new RangeError(`sampler: no golden record of "${sampler}" under noise`)
  return found
}

/** Runs a record by a sampler, under its noise, and compares the end points with it. */
export async function expectNoisyMixtureRun({ params, expected }: GoldenRecord, sampler: Sampler): Promise<void> {
  const grid = mixtureGrid('karras', params['n'] as number)
  const key = givenNoise((k, i) => noiseValues(k, i + 1)[i]!)
  const got = await sampleMixture(sampler, grid, { key })
  numbersOf(expected['end']).forEach((value, i) =>
    expect(Math.abs(got[i]! - value), `element ${i}: ${got[i]}, expected ${value}`).toBeLessThan(2e-3),
  )
}

/** n + 1 levels between the ends of the mixture's trajectories. */
export function mixtureGrid(spacing: 'karras' | 'log', n: number): Grid {
  const { min, max } = mixtureSigmas
  return Array.from({ length: n + 1 }, (_, i) => {
    const share = i / n
    if (spacing === 'log') return logSnrOfEdmSigma(max * (min / max) ** share)
    return logSnrOfEdmSigma((max ** (1 / 7) + share * (min ** (1 / 7) - max ** (1 / 7))) ** 7)
  })
}

/** The mixture's trajectories along a grid: their ends in EDM coordinates, flat. */
export async function sampleMixture(sampler: Sampler, grid: Grid, options?: SampleOptions): Promise<number[]> {
  const [first, last] = [grid[0]!, grid.at(-1)!]
  const x = tf.tensor2d(
    mixtureStarts.map((start) =>
      start.map((value) => (value * alphaOf(first) * edmSigmaOf(first)) / mixtureSigmas.max),
    ),
  )
  const end = await sampler(mixtureDenoiser(), x, grid, options)
  const values = Array.from(await end.data(), (value) => value / alphaOf(last))
  tf.dispose([x, end])
  return values
}

/** Where the first two of the mixture's trajectories are after each step, in EDM coordinates, flat. */
export async function passedStates(sampler: Sampler, grid: Grid): Promise<number[][]> {
  const states: number[][] = []
  await sampleMixture(sampler, grid, {
    onStep: async ({ x, to }) => {
      states.push(Array.from(await x.data(), (value) => value / alphaOf(to)).slice(0, 4))
    },
  })
  return states
}
