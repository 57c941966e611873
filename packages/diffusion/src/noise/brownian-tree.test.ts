import * as tf from '@tensorflow/tfjs-core'
import { type Key, key, useBackend } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Mixture, mixtureDenoiser } from '../golden/mixture.ts'
import type { Grid } from '../grid.ts'
import type { Sampler } from '../sampler.ts'
import { ddpm } from '../samplers/ddpm/ddpm.ts'
import { dpm2Ancestral } from '../samplers/dpm2-ancestral/dpm2-ancestral.ts'
import { dpmSolverAncestral } from '../samplers/dpm-solver-ancestral/dpm-solver-ancestral.ts'
import { eulerAncestral } from '../samplers/euler-ancestral/euler-ancestral.ts'
import { saSolver } from '../samplers/sa-solver/sa-solver.ts'
import { sdeDpmSolverMultistep } from '../samplers/sde-dpm-solver-multistep/sde-dpm-solver-multistep.ts'
import { sdeDpmSolverSinglestep } from '../samplers/sde-dpm-solver-singlestep/sde-dpm-solver-singlestep.ts'
import { type Branch, brownianBranches, brownianNoise } from './brownian-tree.ts'

/** Three rising levels, not too near to one another. */
const levels = fc
  .tuple(
    fc.double({ min: -30, max: 30, noNaN: true }),
    fc.double({ min: 0.01, max: 12, noNaN: true }),
    fc.double({ min: 0.01, max: 12, noNaN: true }),
  )
  .map(([first, near, far]) => [first, first + near, first + near + far] as const)

/** One hill: between several, a path that is a little off may end on another. */
const hill: Mixture = {
  means: [
    [0.4, 0.3],
    [-0.5, 0.2],
    [0.1, -0.6],
  ],
  variances: [0.4, 0.3, 0.5],
  weights: [0.5, 0.3, 0.2],
}

const nameOf = ({ floor, place }: Branch): string => `${floor}/${place}`

/** The covariance of two sums of draws. */
function covariance(a: readonly Branch[], b: readonly Branch[]): number {
  const weights = new Map(a.map((branch) => [nameOf(branch), branch.weight]))
  return b.reduce((sum, branch) => sum + branch.weight * (weights.get(nameOf(branch)) ?? 0), 0)
}

describe('the Brownian tree', () => {
  it('gives noise of variance 1 that is independent over intervals side by side', () =>
    fc.assert(
      fc.property(levels, ([low, middle, high]) => {
        const [below, above] = [brownianBranches(low, middle), brownianBranches(middle, high)]
        expect(covariance(below, below)).toBeCloseTo(1, 3)
        expect(covariance(above, above)).toBeCloseTo(1, 3)
        expect(Math.abs(covariance(below, above))).toBeLessThan(1e-3)
      }),
    ))

  it('gives over an interval what it gives over its parts', () =>
    fc.assert(
      fc.property(levels, ([low, middle, high]) => {
        const part = Math.expm1(middle - low) / Math.expm1(high - low)
        const sums = new Map<string, number>()
        const add = (branches: readonly Branch[], factor: number): void =>
          branches.forEach((branch) =>
            sums.set(nameOf(branch), (sums.get(nameOf(branch)) ?? 0) + factor * branch.weight),
          )
        add(brownianBranches(low, middle), Math.sqrt(part))
        add(brownianBranches(middle, high), Math.sqrt(1 - part))
        add(brownianBranches(low, high), -1)
        // Each leaves out draws that count for less than 1e-7.
        for (const off of sums.values()) expect(Math.abs(off)).toBeLessThan(1e-6)
      }),
    ))

  it('begins at noise alone, and refuses levels out of its reach', () => {
    const start = brownianBranches(-Infinity, -5)
    expect(covariance(start, start)).toBeCloseTo(1, 6)
    expect(() => brownianBranches(0, Infinity)).toThrow(/^grid: expected levels from -64 to 64/)
    expect(() => brownianBranches(-70, 0)).toThrow(/^grid: .* got -70 to 0/)
    expect(() => brownianBranches(1, 1)).toThrow(/^grid/)
  })
})

describe.each(['cpu', 'wasm'] as const)('Brownian noise on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  const noiseFor = async (keys: readonly Key[], from: number, to: number): Promise<number[]> => {
    const noise = brownianNoise(keys, [3], from, to)
    const values = Array.from(await noise.data())
    noise.dispose()
    return values
  }

  it('is normal, and of each sample by itself', async () => {
    const keys = key(3).split(500)
    const before = tf.memory().numTensors
    const all = await noiseFor(keys, -1.3, 0.4)
    expect(tf.memory().numTensors).toBe(before)
    expect(await noiseFor([keys[2]!], -1.3, 0.4)).toEqual(all.slice(6, 9))
    const mean = all.reduce((a, b) => a + b, 0) / all.length
    const variance = all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length
    // Five standard errors of 1500 draws.
    expect(Math.abs(mean)).toBeLessThan(0.13)
    expect(Math.abs(variance - 1)).toBeLessThan(0.19)
    const next = await noiseFor(keys, 0.4, 1)
    const product = all.reduce((sum, value, i) => sum + value * next[i]!, 0) / all.length
    expect(Math.abs(product)).toBeLessThan(0.13)
  })

  const gridOf = (steps: number): Grid => Array.from({ length: steps + 1 }, (_, i) => -5 + (9.3 * i) / steps)
  const endsOf = async (sampler: Sampler, steps: number, clean?: number): Promise<number[]> => {
    const x = key(1).normal([6, 2])
    const denoiser = mixtureDenoiser(hill)
    const end = await sampler(clean === undefined ? denoiser : (at) => tf.fill(at.shape, clean), x, gridOf(steps), {
      key: key(9),
    })
    const values = Array.from(await end.data())
    tf.dispose([x, end])
    return values
  }
  const distance = (a: readonly number[], b: readonly number[]): number =>
    Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length)

  it.each<[string, Sampler]>([
    ['ddpm', ddpm({ noise: 'brownian' })],
    ['eulerAncestral', eulerAncestral({ noise: 'brownian' })],
    ['sdeDpmSolverMultistep', sdeDpmSolverMultistep({ noise: 'brownian' })],
    ['sdeDpmSolverSinglestep', sdeDpmSolverSinglestep({ noise: 'brownian' })],
    ['dpm2Ancestral', dpm2Ancestral({ noise: 'brownian' })],
    ['dpmSolverAncestral', dpmSolverAncestral({ noise: 'brownian' })],
    ['saSolver', saSolver({ noise: 'brownian' })],
  ])('makes %s end where it does on any grid, where the clean sample is known', async (_, sampler) => {
    const [coarse, fine] = [await endsOf(sampler, 2, 0.3), await endsOf(sampler, 7, 0.3)]
    fine.forEach((value, i) => expect(Math.abs(value - coarse[i]!)).toBeLessThan(1e-4))
  })

  it.runIf(backend === 'cpu').each<[string, Sampler, Sampler]>([
    ['ddpm', ddpm({ noise: 'brownian' }), ddpm()],
    [
      'sdeDpmSolverMultistep',
      sdeDpmSolverMultistep({ noise: 'brownian', lowerOrderFinal: false }),
      sdeDpmSolverMultistep({ lowerOrderFinal: false }),
    ],
    ['sdeDpmSolverSinglestep', sdeDpmSolverSinglestep({ noise: 'brownian' }), sdeDpmSolverSinglestep()],
    ['dpm2Ancestral', dpm2Ancestral({ noise: 'brownian' }), dpm2Ancestral()],
    ['dpmSolverAncestral', dpmSolverAncestral({ noise: 'brownian' }), dpmSolverAncestral()],
    ['saSolver', saSolver({ noise: 'brownian' }), saSolver()],
    ['eulerAncestral, half', eulerAncestral({ noise: 'brownian', eta: 0.5 }), eulerAncestral({ eta: 0.5 })],
  ])('makes samples of %s converge as steps grow in number', async (_, brownian, white) => {
    const between = async (sampler: Sampler, steps: number): Promise<number> =>
      distance(await endsOf(sampler, steps), await endsOf(sampler, 2 * steps))
    const distances = [await between(brownian, 8), await between(brownian, 32), await between(brownian, 128)]
    expect(distances[1], distances.join(', ')).toBeLessThan(distances[0]!)
    expect(distances[2], distances.join(', ')).toBeLessThan(distances[1]!)
    expect(distances[2], distances.join(', ')).toBeLessThan((await between(white, 128)) / 4)
  })
})
