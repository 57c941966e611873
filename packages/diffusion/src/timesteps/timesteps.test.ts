import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { goldenRecords, numbersOf, type SchedulerRecord, schedulerRecords } from '../golden/golden.ts'
import type { Grid } from '../grid.ts'
import { exponentialGrid } from '../grids/exponential-grid.ts'
import { karrasGrid } from '../grids/karras-grid.ts'
import { timeGrid } from '../grids/time-grid.ts'
import { edmSigmaOf, type LogSnr, logSnrOfEdmSigma } from '../noise-level.ts'
import {
  consistencyParameterisation,
  edmParameterisation,
  flowParameterisation,
} from '../predictions/parameterisation.ts'
import { cosineSchedule } from '../schedules/cosine/cosine.ts'
import { flowSchedule } from '../schedules/flow/flow.ts'
import { shiftSchedule } from '../schedules/shift-schedule.ts'
import { alphaBars, cosineBetas, linearBetas, posteriorVariances, scaledLinearBetas, zeroTerminalSnr } from './betas.ts'
import { lcmTimesteps, spacedTimesteps, type TimestepSpacing } from './spaced-timesteps.ts'
import { throughTimesteps, timestepGrid } from './timestep-grid.ts'
import { type TimestepTable, timestepTable } from './timestep-table.ts'

function expectClose(got: readonly number[], expected: readonly number[], relative: number, absolute = 0): void {
  expect(got).toHaveLength(expected.length)
  expected.forEach((value, i) => {
    if (!(Math.abs(got[i]! - value) <= absolute + relative * Math.abs(value)))
      throw new Error(`[${i}]: got ${got[i]}, expected ${value}`)
  })
}

describe('betas', () => {
  it.each(goldenRecords('schedule/betas'))('as recorded: $id', ({ params, expected, tol }) => {
    const [timesteps, start, end] = ['n', 'betaStart', 'betaEnd'].map((name) => params[name] as number)
    const plain = {
      linear: () => linearBetas({ timesteps, start, end }),
      scaled_linear: () => scaledLinearBetas({ timesteps, start, end }),
      squaredcos_cap_v2: () => cosineBetas({ timesteps }),
    }[params['betaSchedule'] as 'linear']()
    const betas = params['rescaleZeroSnr'] ? zeroTerminalSnr(plain) : plain
    const at = (values: Float64Array): number[] => (params['indices'] as number[]).map((i) => values[i]!)
    expectClose(at(betas), numbersOf(expected['beta']), 1e-9, tol)
    expectClose(at(alphaBars(betas)), numbersOf(expected['alphaBar']), 1e-9, tol)
    expectClose(at(posteriorVariances(betas)), numbersOf(expected['posteriorVariance']), 1e-9, tol)
  })

  it('names what it refuses', () => {
    expect(() => linearBetas({ timesteps: 0 })).toThrow(/^timesteps: expected a whole number >= 1, got 0/)
    expect(() => linearBetas({ start: 0 })).toThrow(/^start: .* got 0/)
    expect(() => scaledLinearBetas({ end: 1 })).toThrow(/^end: .* got 1/)
    expect(() => cosineBetas({ max: 1 })).toThrow(/^max: .* got 1/)
    expect(() => alphaBars([])).toThrow(/^betas: .* got none/)
    expect(() => alphaBars([0.1, 1.2])).toThrow(/^betas: .* got 1.2 at 1/)
    expect(() => zeroTerminalSnr([0.1])).toThrow(/^betas: expected at least 2, got 1/)
    expect(() => timestepTable([0.1])).toThrow(/^betas: expected at least 2, got 1/)
    expect(() => timestepTable([0.1, 1e-20])).toThrow(/^betas: expected levels that fall/)
    expect(() => timestepTable(linearBetas(), { interpolation: 'time' as 'sigma' })).toThrow(
      /^interpolation: .* "time"/,
    )
  })
})

describe.each(['logSnr', 'sigma'] as const)('a table, linear in %s', (interpolation) => {
  const tables = [linearBetas(), scaledLinearBetas({ timesteps: 7 }), zeroTerminalSnr(linearBetas())].map((betas) =>
    timestepTable(betas, { interpolation }),
  )

  it('knows level and timestep of one another', () => {
    for (const { levelOf, timestepOf, timesteps, levels } of tables) {
      fc.assert(
        fc.property(fc.double({ min: 0, max: timesteps - 1, noNaN: true }), (timestep) => {
          expect(Math.abs(timestepOf(levelOf(timestep)) - timestep)).toBeLessThan(1e-8)
        }),
      )
      levels.forEach((level, timestep) => {
        expect(levelOf(timestep)).toBe(level)
        expect(timestepOf(level)).toBeCloseTo(timestep, 9)
      })
      expect([timestepOf(Infinity), timestepOf(-Infinity)]).toEqual([0, timesteps - 1])
      expect(() => levelOf(-1)).toThrow(/^timestep: expected a number from 0 to .* got -1/)
      expect(() => levelOf(timesteps)).toThrow(/^timestep:/)
      expect(() => timestepOf(NaN)).toThrow(/^logSnr:/)
    }
  })

  it('falls between timesteps too, to noise alone where SNR ends at zero', () => {
    const { levelOf } = tables[2]!
    expect(levelOf(999)).toBe(-Infinity)
    expect(levelOf(998.5)).toBeLessThan(levelOf(998.4))
    expect(levelOf(998.4)).toBeLessThan(levelOf(998))
  })
})

describe('choosing timesteps', () => {
  it('is refused by name', () => {
    expect(() => spacedTimesteps(10, { steps: 0 })).toThrow(/^steps: .* got 0/)
    expect(() => spacedTimesteps(10, { steps: 11 })).toThrow(/^steps: expected at most 10 timesteps, got 11/)
    expect(() => spacedTimesteps(10, { steps: 10, spacing: 'leading', stepsOffset: 1 })).toThrow(/^stepsOffset:/)
    expect(() => spacedTimesteps(10, { steps: 2, spacing: 'even' as TimestepSpacing })).toThrow(/^spacing: .* "even"/)
    expect(() => spacedTimesteps(10, { steps: 2, family: 'lms' as 'ddim' })).toThrow(/^family: .* "lms"/)
    expect(() => spacedTimesteps(10, { steps: 10, spacing: 'leading', family: 'dpm' })).toThrow(
      /^steps: expected fewer/,
    )
    expect(() => lcmTimesteps(1000, { steps: 51 })).toThrow(/^steps: expected at most 50, got 51/)
    expect(() => lcmTimesteps(40, { steps: 2 })).toThrow(/^originalSteps: expected at most 40/)
    const table = timestepTable(linearBetas())
    expect(() => throughTimesteps(table, [5, 5])).toThrow(/^grid: expected rising levels/)
    expect(() => timestepGrid(table, { steps: 5, final: -20 })).toThrow(/^final: expected .* got -20/)
    expect(() => timestepGrid(table, { steps: 5, final: 'none' as 'zero' })).toThrow(/^final: .* got "none"/)
  })

  it('ends where the rule says', () => {
    const table = timestepTable(linearBetas())
    const trailing = { steps: 4, spacing: 'trailing' } as const
    expect(timestepGrid(table, trailing).at(-1)).toBe(Infinity)
    expect(timestepGrid(table, { ...trailing, final: 'min' }).at(-1)).toBe(table.levels[0])
    expect(timestepGrid(table, { ...trailing, final: 12 }).at(-1)).toBe(12)
    // Leading ends at timestep 0 already: nothing is left to step to.
    const leading = timestepGrid(table, { ...trailing, spacing: 'leading', final: 'min' })
    expect(leading).toHaveLength(4)
    expect(leading.at(-1)).toBe(table.levels[0])
    expect(spacedTimesteps(1000, { steps: 5, spacing: 'leading', stepsOffset: 1 })).toEqual([801, 601, 401, 201, 1])
    expect(timestepGrid(timestepTable(zeroTerminalSnr(linearBetas())), trailing)[0]).toBe(-Infinity)
  })

  it('falls strictly, stays in the table, in any spacing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom<TimestepSpacing>('leading', 'linspace', 'trailing'),
        fc.constantFrom('ddim', 'euler', 'dpm'),
        (steps, spacing, family) => {
          const timesteps = spacedTimesteps(100, { steps, spacing, family: family as 'ddim' })
          expect(timesteps).toHaveLength(steps)
          timesteps.forEach((timestep, i) => {
            expect(timestep).toBeGreaterThanOrEqual(0)
            expect(timestep).toBeLessThanOrEqual(99)
            if (i > 0) expect(timestep).toBeLessThan(timesteps[i - 1]!)
          })
        },
      ),
    )
  })
})

/** What a run of a scheduler stands at: sigmas of EDM, and the timesteps at which its model is called. */
interface Held {
  readonly timesteps: readonly number[]
  readonly sigmas?: readonly number[]
}

const twice = <T>(values: readonly T[]): T[] => values.flatMap((value) => [value, value])
const sigmasOf = (grid: Grid): number[] => grid.map(edmSigmaOf)

function tableOf({ config }: SchedulerRecord, interpolation: 'logSnr' | 'sigma' = 'logSnr'): TimestepTable {
  const [timesteps, start, end] = ['num_train_timesteps', 'beta_start', 'beta_end'].map(
    (name) => config[name] as number,
  )
  const betas = {
    linear: linearBetas,
    scaled_linear: scaledLinearBetas,
    squaredcos_cap_v2: () => cosineBetas({ timesteps }),
  }[config['beta_schedule'] as 'linear']({ timesteps, start, end })
  return timestepTable(config['rescale_betas_zero_snr'] ? zeroTerminalSnr(betas) : betas, { interpolation })
}

/** DDIM, DDPM, PNDM and inversion. */
function ddim(record: SchedulerRecord): Held {
  const spacing = (record.config['timestep_spacing'] as TimestepSpacing | undefined) ?? 'leading'
  const timesteps = spacedTimesteps(tableOf(record).timesteps, { steps: record.n!, spacing })
  if (record.scheduler === 'DDIMInverseScheduler') return { timesteps: timesteps.toReversed() }
  if (record.scheduler !== 'PNDMScheduler') return { timesteps }
  if (record.config['skip_prk_steps']) return { timesteps: [timesteps[0]!, timesteps[1]!, ...timesteps.slice(1)] }
  // Three steps of Runge and Kutta call the model at both ends and twice in the middle.
  const middles = timesteps.slice(0, 3).flatMap((from, i) => {
    const middle = (from + timesteps[i + 1]!) / 2
    return [from, middle, middle, timesteps[i + 1]!]
  })
  return { timesteps: [...middles, ...timesteps.slice(3)] }
}

/** Euler, LMS, Heun, KDPM2. */
function euler(record: SchedulerRecord): Held {
  const { config, scheduler } = record
  const steps = record.n!
  const spacing = (config['timestep_spacing'] as TimestepSpacing | undefined) ?? 'linspace'
  const linear = tableOf(record, 'sigma')
  const { timestepOf } = tableOf(record)
  const spaced = timestepGrid(linear, { steps, spacing, family: 'euler', final: 'zero' })
  const ends = { sigmaMax: edmSigmaOf(spaced[0]!), sigmaMin: edmSigmaOf(spaced[steps - 1]!), steps }
  const respaced = config['use_karras_sigmas']
    ? karrasGrid(ends)
    : config['use_exponential_sigmas']
      ? exponentialGrid(ends)
      : undefined
  const grid = respaced ?? spaced
  const exact = grid.slice(0, -1).map(respaced ? timestepOf : linear.timestepOf)
  const middle = (from: LogSnr, to: LogSnr): number => timestepOf((from + to) / 2)
  if (scheduler === 'HeunDiscreteScheduler')
    return {
      timesteps: twice(exact).slice(1),
      sigmas: [edmSigmaOf(grid[0]!), ...twice(sigmasOf(grid).slice(1, -1)), 0],
    }
  if (!scheduler.startsWith('KDPM2')) return { timesteps: exact, sigmas: sigmasOf(grid) }
  const sigmas = [edmSigmaOf(grid[0]!), ...twice(sigmasOf(grid).slice(1, -1)), 0, 0, 0]
  const rounded = respaced ? exact.map(Math.round) : exact
  const between = grid.slice(0, -2).map((from, i) => {
    // With noise added, the step first goes further down: sigma'^2 / sigma, with sigma' in the middle.
    return scheduler.includes('Ancestral') ? timestepOf(grid[i + 1]!) : middle(from, grid[i + 1]!)
  })
  return { timesteps: [rounded[0]!, ...between.flatMap((timestep, i) => [timestep, rounded[i + 1]!])], sigmas }
}

/** DPM-Solver, UniPC and DEIS. */
function dpm(record: SchedulerRecord): Held {
  const { config } = record
  const steps = record.n!
  const table = tableOf(record)
  const [sigmaMin, sigmaMax] = [edmSigmaOf(table.levels[0]!), edmSigmaOf(table.levels.at(-1)!)]
  const final = (config['final_sigmas_type'] as string | undefined) === 'zero' ? 'zero' : 'min'
  if (config['use_karras_sigmas']) {
    // The smallest sigma stands there twice: a step of nothing.
    const sigmas = sigmasOf(karrasGrid({ steps, sigmaMin, sigmaMax, final: 'zero' })).slice(0, -1)
    const timesteps = sigmas.map((sigma) => Math.round(table.timestepOf(logSnrOfEdmSigma(sigma))))
    return { timesteps, sigmas: [...sigmas, sigmaMin] }
  }
  const timesteps = spacedTimesteps(table.timesteps, { steps, spacing: 'linspace', family: 'dpm' })
  return { timesteps, sigmas: sigmasOf(throughTimesteps(table, timesteps, final)) }
}

/** The grids of EDM's own schedulers. */
function edm({ config, n }: SchedulerRecord): Held {
  const ends = { sigmaMin: config['sigma_min'] as number, sigmaMax: config['sigma_max'] as number }
  const grid = karrasGrid({ ...ends, steps: n! })
  const sigmas = sigmasOf(grid)
  return {
    timesteps: grid.slice(0, -1).map(edmParameterisation().time),
    sigmas: config['final_sigmas_type'] === 'sigma_min' ? [...sigmas.slice(0, -1), ends.sigmaMin] : sigmas,
  }
}

function flow({ config, n, scheduler }: SchedulerRecord): Held {
  const T = config['num_train_timesteps'] as number
  const shift = -2 * Math.log((config['shift'] as number | undefined) ?? 1)
  const { time } = flowParameterisation({ timeScale: T })
  // The smallest time is shifted, and then shifted again.
  const to = flowSchedule().timeOf(flowSchedule()(1 / T) + shift)
  const grid = timeGrid(shiftSchedule(flowSchedule(), shift), { steps: n!, to, final: 'zero' })
  const timesteps = grid.slice(0, -1).map(time)
  const sigmas = grid.map((level) => time(level) / T)
  return scheduler.includes('Heun')
    ? { timesteps: twice(timesteps).slice(1), sigmas: [sigmas[0]!, ...twice(sigmas.slice(1, -1)), 0] }
    : { timesteps, sigmas }
}

function consistency({ config, set_timesteps: set }: SchedulerRecord): Held {
  const ends = { sigmaMin: config['sigma_min'] as number, sigmaMax: config['sigma_max'] as number }
  const nodes = karrasGrid({ ...ends, steps: (config['num_train_timesteps'] as number) - 1, final: 'min' })
  const chosen = ((set!['timesteps'] as number[] | undefined) ?? [0]).toSorted((a, b) => a - b)
  const levels = chosen.map((place) => nodes[place]!)
  return {
    timesteps: levels.map(consistencyParameterisation().time),
    sigmas: [...levels.map(edmSigmaOf), ends.sigmaMin],
  }
}

function lcm(record: SchedulerRecord): Held {
  return { timesteps: lcmTimesteps(tableOf(record).timesteps, { steps: record.n! }) }
}

function ipndm({ n }: SchedulerRecord): Held {
  // Times of the cosine at which its sigma is sin^2(pi t / 2).
  const whole = cosineSchedule({ logSnrMin: -Infinity, logSnrMax: Infinity })
  const timesteps = Array.from({ length: n! }, (_, i) => {
    const sigma = Math.sin((Math.PI / 2) * (1 - i / n!)) ** 2
    return whole.timeOf(Math.log1p(-sigma * sigma) - 2 * Math.log(sigma))
  })
  return { timesteps }
}

const holders: Record<string, (record: SchedulerRecord) => Held> = {
  CMStochasticIterativeScheduler: consistency,
  DDIMInverseScheduler: ddim,
  DDIMScheduler: ddim,
  DDPMScheduler: ddim,
  DEISMultistepScheduler: dpm,
  DPMSolverMultistepScheduler: dpm,
  DPMSolverSinglestepScheduler: dpm,
  EDMDPMSolverMultistepScheduler: edm,
  EDMEulerScheduler: edm,
  EulerAncestralDiscreteScheduler: euler,
  EulerDiscreteScheduler: euler,
  FlowMatchEulerDiscreteScheduler: flow,
  FlowMatchHeunDiscreteScheduler: flow,
  HeunDiscreteScheduler: euler,
  IPNDMScheduler: ipndm,
  KDPM2AncestralDiscreteScheduler: euler,
  KDPM2DiscreteScheduler: euler,
  LCMScheduler: lcm,
  LMSDiscreteScheduler: euler,
  PNDMScheduler: ddim,
  TCDScheduler: lcm,
  UniPCMultistepScheduler: dpm,
}

describe('timesteps and sigmas of diffusers', () => {
  it.each(schedulerRecords().filter((row) => row.timesteps))('$id', (record) => {
    const { timesteps, sigmas } = holders[record.scheduler]!(record)
    // Recorded in single precision: 1 - alpha^2 near clean, and what is derived from it, has four digits.
    expectClose(timesteps, record.timesteps!, 1e-6, 1e-2)
    if (record.sigmas) expectClose(sigmas!, record.sigmas, 1e-4)
  })
})
