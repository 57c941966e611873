import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GoldenRecord, goldenRecords, numbersOf } from '../golden/golden.ts'
import { type Grid, requireGrid } from '../grid.ts'
import { edmSigmaOf } from '../noise-level.ts'
import { cosineSchedule } from '../schedules/cosine/cosine.ts'
import { shiftedCosineSchedule } from '../schedules/cosine/shifted-cosine.ts'
import { flowSchedule } from '../schedules/flow/flow.ts'
import { resolutionShift } from '../schedules/shift-schedule.ts'
import { vpSchedule } from '../schedules/vp/vp.ts'
import { betaGrid } from './beta-grid.ts'
import { betaQuantile } from './beta-quantile.ts'
import { customGrid, gridOfEdmSigmas, lastSteps } from './custom-grid.ts'
import { exponentialGrid } from './exponential-grid.ts'
import { karrasGrid } from './karras-grid.ts'
import { logSnrGrid } from './log-snr-grid.ts'
import type { FinalLevel } from './nodes.ts'
import { timeGrid } from './time-grid.ts'

function gridOf({ params }: GoldenRecord): Grid {
  const n = params as Record<string, number>
  const ends = { steps: n['n']!, sigmaMin: n['sigmaMin']!, sigmaMax: n['sigmaMax']! }
  switch (params['type']) {
    case 'karras':
      return karrasGrid({ ...ends, rho: n['rho']! })
    case 'exponential':
      return exponentialGrid(ends)
    case 'polyexponential':
      return exponentialGrid({ ...ends, rho: n['rho']! })
    case 'vp': {
      const schedule = vpSchedule({ betaMin: n['betaMin']!, betaMax: n['betaMin']! + n['betaD']! })
      return timeGrid(schedule, { steps: n['n']!, to: n['epsS']!, final: 'zero' })
    }
    case 'flow':
      return timeGrid(flowSchedule({ shift: n['shift']! }), { steps: n['n']! })
    case 'uniformTime': {
      const shift = resolutionShift({ noise: n['noiseD']!, image: n['imageD']! })
      return timeGrid(shiftedCosineSchedule({ shift }), { steps: n['n']! })
    }
    default:
      throw new RangeError(`type: expected a known grid, got ${String(params['type'])}`)
  }
}

describe('grids', () => {
  // The generator's noise is no grid; schedules.test.ts has it.
  it.each(goldenRecords('grid').filter(({ params }) => params['type'] !== 'sidGeneratorNoise'))(
    'as recorded: $id',
    (record) => {
      const grid = gridOf(record)
      const { sigmas, sigmaEdm, s } = record.expected
      const got = s ? grid.map(flowSchedule().timeOf) : grid.map(edmSigmaOf)
      const expected = numbersOf(sigmas ?? sigmaEdm ?? s)
      expect(got).toHaveLength(expected.length)
      expected.forEach((value, i) =>
        expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(record.tol * (1 + Math.abs(value))),
      )
    },
  )

  const makers: Record<string, (steps: number, final: FinalLevel) => Grid> = {
    karras: (steps, final) => karrasGrid({ steps, final }),
    exponential: (steps, final) => exponentialGrid({ steps, final, sigmaMin: 0.01, sigmaMax: 30, rho: 2 }),
    logSnr: (steps, final) => logSnrGrid({ steps, final, logSnrMin: -8, logSnrMax: 9 }),
    cosine: (steps, final) => timeGrid(cosineSchedule(), { steps, final }),
    'flow, cut': (steps, final) => timeGrid(flowSchedule({ shift: 3 }), { steps, final, from: 0.9, to: 0.01 }),
    beta: (steps, final) => betaGrid(cosineSchedule(), { steps, final }),
  }

  it.each(Object.entries(makers))('%s: rises through n + 1 levels and ends as asked', (_, make) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), (steps) => {
        for (const final of ['zero', 'min', 40] as const) {
          const grid = make(steps, final)
          requireGrid(grid)
          expect(grid).toHaveLength(steps + 1)
          expect(Object.isFrozen(grid)).toBe(true)
          if (final !== 'min') expect(grid.at(-1)).toBe(final === 'zero' ? Infinity : final)
        }
        expect(make(steps, 'min').at(-1)).toBeLessThan(40)
        expect(make(steps, 'min')[0]).toBe(make(steps, 'zero')[0])
      }),
    )
  })

  it('does not step to clean twice', () => {
    expect(timeGrid(flowSchedule(), { steps: 4, final: 'zero' })).toEqual(timeGrid(flowSchedule(), { steps: 4 }))
  })

  it('spaces times as a beta distribution does', () => {
    // Beta(1, 1) is uniform, Beta(1/2, 1/2) the arcsine distribution, Beta(2, 1) has the square as distribution.
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (p) => {
        expect(betaQuantile(p, 1, 1)).toBeCloseTo(p, 12)
        expect(betaQuantile(p, 0.5, 0.5)).toBeCloseTo(Math.sin((Math.PI / 2) * p) ** 2, 10)
        expect(betaQuantile(p, 2, 1)).toBeCloseTo(Math.sqrt(p), 7)
        expect(betaQuantile(p, 0.6, 0.9)).toBeCloseTo(1 - betaQuantile(1 - p, 0.9, 0.6), 9)
      }),
    )
    const even = betaGrid(cosineSchedule(), { steps: 5, alpha: 1, beta: 1 })
    timeGrid(cosineSchedule(), { steps: 5 }).forEach((level, i) => expect(even[i]).toBeCloseTo(level, 9))
  })

  it('takes levels and sigmas as they come', () => {
    expect(customGrid([-3, 0, Infinity])).toEqual([-3, 0, Infinity])
    expect(gridOfEdmSigmas(new Set([80, 1, 0]))).toEqual([-2 * Math.log(80), -0, Infinity])
    const grid = karrasGrid({ steps: 10 })
    expect(lastSteps(grid, 0.35)).toEqual(grid.slice(7))
    expect(lastSteps(grid, 1e-9)).toEqual(grid.slice(9))
    expect(lastSteps(grid, 1)).toEqual(grid)
  })

  it.each([
    ['steps', () => karrasGrid({ steps: 0 })],
    ['steps', () => timeGrid(cosineSchedule(), { steps: 1.5 })],
    ['final', () => karrasGrid({ steps: 3, final: -3 })],
    ['final', () => karrasGrid({ steps: 3, final: NaN })],
    ['final', () => karrasGrid({ steps: 3, final: 'max' as 'min' })],
    ['sigmaMin', () => karrasGrid({ steps: 3, sigmaMin: -1 })],
    ['sigmaMax', () => exponentialGrid({ steps: 3, sigmaMin: 1, sigmaMax: 1 })],
    ['rho', () => exponentialGrid({ steps: 3, sigmaMin: 1, sigmaMax: 2, rho: -1 })],
    ['logSnrMin', () => logSnrGrid({ steps: 3, logSnrMin: 1, logSnrMax: 0 })],
    ['t', () => timeGrid(cosineSchedule(), { steps: 3, from: 1.5 })],
    ['to', () => timeGrid(cosineSchedule(), { steps: 3, from: 0.5, to: 0.5 })],
    ['alpha', () => betaGrid(cosineSchedule(), { steps: 3, alpha: 0 })],
    ['beta', () => betaGrid(cosineSchedule(), { steps: 3, beta: Infinity })],
    ['grid', () => customGrid([1, 0])],
    ['grid', () => customGrid([1])],
    ['sigmas', () => gridOfEdmSigmas([1, -1])],
    ['strength', () => lastSteps(karrasGrid({ steps: 3 }), 0)],
  ])('refuses by name: %s', (name, call) => {
    expect(call).toThrow(RangeError)
    expect(call).toThrow(new RegExp(`^${name}: expected .* got `))
  })
})
