import * as tf from '@tensorflow/tfjs-core'
import type { Key } from '@x/core-gpu'
import { expect } from 'vitest'
import type { Denoiser } from '../denoiser.ts'
import type { Grid } from '../grid.ts'
import { alphaOf, edmSigmaOf, type LogSnr, logSnrOfEdmSigma, sigmaOf } from '../noise-level.ts'
import { consistencyParameterisation } from '../predictions/parameterisation.ts'
import type { Sampler, SamplerStep } from '../sampler.ts'
import { cosineBetas, linearBetas, scaledLinearBetas, zeroTerminalSnr } from '../timesteps/betas.ts'
import { type TimestepTable, timestepTable } from '../timesteps/timestep-table.ts'
import { givenNoise } from './given-noise.ts'
import {
  nhwc,
  noiseValues,
  type SchedulerRecord,
  schedulerModel,
  schedulerNoise,
  schedulerRecords,
  schedulerSample,
} from './golden.ts'

/** A run of a diffusers scheduler in the terms of this package. */
interface SchedulerRun {
  readonly grid: Grid
  readonly calls: readonly Call[]
  /** the coordinates that the scheduler works in, and its model sees */
  readonly space: Space
}

/** A level at which the model may be called, and with which timestep. */
interface Call {
  readonly level: LogSnr
  readonly timestep: number
}

interface Space {
  /** the scheduler's x, as a multiple of the one that preserves variance */
  readonly scale: (level: LogSnr) => number
  /** what the model is given, as a multiple of the scheduler's x */
  readonly input: (level: LogSnr) => number
  /** the clean sample, as a sum of the scheduler's x and the model's output */
  readonly denoised: (level: LogSnr) => readonly [x: number, output: number]
}

/**
 * The recorded runs of a scheduler without random noise.
 *
 * Those of usage `quirk` hand the scheduler a sample that is scaled once more before every step. Here that is done by writing
 * into the sample between two steps, which only the backend `cpu` allows.
 */
export function schedulerRuns(scheduler: string, backend: string, match = /./): SchedulerRecord[] {
  const found = schedulerRecords(scheduler).filter(
    ({ id, noise, usage }) => noise === 'none' && match.test(id) && (usage !== 'quirk' || backend === 'cpu'),
  )
  if (found.length === 0) throw new RangeError(`match: no golden record of "${scheduler}" is like ${String(match)}`)
  return found
}

/** The recorded runs of a scheduler with recorded noise; those of usage `quirk` on the backend `cpu` alone. */
export function noisyRuns(scheduler: string, backend: string): SchedulerRecord[] {
  const found = schedulerRecords(scheduler).filter(
    ({ noise, usage }) => noise === 'detnoise' && (usage !== 'quirk' || backend === 'cpu'),
  )
  if (found.length === 0) throw new RangeError(`scheduler: no golden record of "${scheduler}" with recorded noise`)
  return found
}

/** A key whose draws are those of the records, NHWC: the k-th belongs to step k. */
export function recordedNoise(): Key {
  const draws = new Map<number, Float64Array>()
  return givenNoise((k, i) => {
    let draw = draws.get(k)
    if (!draw) draws.set(k, (draw = nhwc(noiseValues(k, 768), [4, 3, 8, 8])))
    return draw[i]!
  })
}

/** A sampler whose denoiser is changed first, as by a scheduler that clips. */
export function guided(
  guidance: <Condition>(denoiser: Denoiser<Condition>) => Denoiser<Condition>,
  sampler: Sampler,
): Sampler {
  return (denoiser, ...rest) => sampler(guidance(denoiser), ...rest)
}

interface SchedulerRunOptions {
  readonly key?: Key
  /** whether a run that begins late has its sampler remember slopes of 0 from the steps before; default false */
  readonly prelude?: boolean
}

/** Runs a record by a sampler and compares the end with it. */
export async function expectSchedulerRun(
  record: SchedulerRecord,
  sampler: Sampler,
  options: SchedulerRunOptions = {},
): Promise<void> {
  const run = record.sigmas ? runOfSigmas(record) : runOfTimesteps(record)
  const late = record.t_start ?? 0
  const skipped = options.prelude ? late : 0
  const grid = run.grid.slice(late - skipped)
  const quirk = record.usage === 'quirk'
  let done = 0
  let fresh = true
  const denoiser: Denoiser = (x, level) =>
    tf.tidy(() => {
      if (done < skipped) return tf.div(x, alphaOf(level))
      const inner = tf.mul(x, run.space.scale(level))
      // The sample of a step's first call was scaled already.
      const seen = quirk && fresh ? inner : tf.mul(inner, run.space.input(level))
      const output = schedulerModel(seen, timestepOf(run.calls, level))
      const [ofX, ofOutput] = run.space.denoised(level)
      const denoised = tf.add(tf.mul(quirk ? seen : inner, ofX), tf.mul(output, ofOutput))
      // The slope is that of the scaled sample, and is followed from the other.
      const moved = quirk && !fresh ? tf.add(denoised, tf.sub(inner, seen)) : denoised
      fresh = false
      return moved
    })
  const x = tf.tidy(() => {
    const start = startOf(record, run.space, run.grid[late]!)
    return skipped === 0 ? start : tf.mul(start, alphaOf(grid[0]!) / alphaOf(run.grid[late]!))
  })
  const onStep = ({ x, to }: SamplerStep): void => {
    fresh = true
    if (++done <= skipped || !quirk || to === Infinity) return
    const values = x.dataSync()
    for (let i = 0; i < values.length; i++) values[i]! *= alphaOf(to)
  }
  const end = await sampler(denoiser, x, grid, { onStep, ...(options.key && { key: options.key }) })
  const scale = run.space.scale(grid.at(-1)!)
  const values = Array.from(await end.data(), (value) => value * scale)
  tf.dispose([x, end])
  expectEnd(record, values)
}

/** Compares NHWC numbers with what a record ended with. */
export function expectEnd({ sum, first6 }: SchedulerRecord, values: readonly number[]): void {
  const got = values.reduce((total, value) => total + Math.abs(value), 0)
  const allowed = (sum < 1 ? 1e-2 : 1e-3) * sum
  expect(Math.abs(got - sum), `sum ${got}, expected ${sum}`).toBeLessThan(allowed)
  // The first elements of a channel are every third.
  first6.forEach((value, i) =>
    expect(Math.abs(values[3 * i]! - value), `element ${i}: ${values[3 * i]}, expected ${value}`).toBeLessThan(
      allowed / 100 + 1e-3 * Math.abs(value),
    ),
  )
}

function startOf(
  { init_noise_sigma: size = 1, t_start: late = 0, usage }: SchedulerRecord,
  space: Space,
  level: LogSnr,
): tf.Tensor {
  return tf.tidy(() => {
    const sample = tf.mul(schedulerSample(), size)
    const noisy = tf.add(tf.mul(sample, alphaOf(level)), tf.mul(schedulerNoise(), sigmaOf(level)))
    const x = late > 0 ? noisy : tf.div(sample, space.scale(level))
    return usage === 'quirk' ? tf.mul(x, alphaOf(level)) : x
  })
}

function runOfSigmas(record: SchedulerRecord): SchedulerRun {
  const { sigmas = [], timesteps = [], scheduler, config } = record
  const levels = rising(
    sigmas.map((sigma) =>
      scheduler.startsWith('FlowMatch') ? 2 * Math.log((1 - sigma) / sigma) : logSnrOfEdmSigma(sigma),
    ),
    config['final_sigmas_type'] === 'sigma_min',
  )
  // Schedulers with two calls a step list the second call's timestep between those of the first.
  const twice = timesteps.length > levels.length - 1
  const calls = timesteps.map((timestep, i): Call => {
    if (!twice) return { level: levels[i]!, timestep }
    const [from, to] = [levels[i >> 1]!, levels[(i + 1) >> 1]!]
    return { level: scheduler === 'KDPM2DiscreteScheduler' ? (from + to) / 2 : to, timestep }
  })
  return { grid: levels, calls, space: spaceOf(record) }
}

/** Schedulers that hold no sigmas go by the table of their timesteps. */
function runOfTimesteps(record: SchedulerRecord): SchedulerRun {
  const { scheduler, config, timesteps = [] } = record
  const { levelOf } = tableOf(record)
  const calls = timesteps.map((timestep) => ({ level: levelOf(timestep), timestep }))
  // PNDM lists its calls halfway through a step too, and ends at its first timestep unless told otherwise.
  const halfway = scheduler === 'PNDMScheduler'
  const levels = timesteps.filter((timestep) => !halfway || timestep % 100 === 0).map(levelOf)
  const clean = config['set_alpha_to_one'] ?? !halfway
  const inverse = scheduler === 'DDIMInverseScheduler'
  return {
    grid: inverse ? [Infinity, ...levels] : rising([...levels, clean ? Infinity : levelOf(0)], false),
    calls,
    space: spaceOf(record),
  }
}

/** The timesteps of a record's model. */
export function tableOf({ config }: SchedulerRecord): TimestepTable {
  const timesteps = config['num_train_timesteps'] as number
  const [start, end] = [config['beta_start'] as number, config['beta_end'] as number]
  const betas =
    config['beta_schedule'] === 'linear'
      ? linearBetas({ timesteps, start, end })
      : config['beta_schedule'] === 'scaled_linear'
        ? scaledLinearBetas({ timesteps, start, end })
        : cosineBetas({ timesteps })
  return timestepTable(config['rescale_betas_zero_snr'] ? zeroTerminalSnr(betas) : betas)
}

/** The coordinates of a record's scheduler. */
function spaceOf({ scheduler, config, usage }: SchedulerRecord): Space {
  const velocity = config['prediction_type'] === 'v_prediction'
  if (scheduler.startsWith('FlowMatch')) {
    const timeOf = (level: LogSnr): number => sigmaOf(level) / (alphaOf(level) + sigmaOf(level))
    return {
      scale: (level) => 1 / (alphaOf(level) + sigmaOf(level)),
      input: () => 1,
      denoised: (level) => [1, -timeOf(level)],
    }
  }
  if (scheduler.startsWith('EDM')) {
    const data = 0.5
    const size = (level: LogSnr): number => Math.hypot(edmSigmaOf(level), data)
    return {
      scale: (level) => 1 / alphaOf(level),
      input: (level) => (usage === 'plain' ? 1 : 1 / size(level)),
      denoised: (level) => [(data / size(level)) ** 2, ((velocity ? -1 : 1) * edmSigmaOf(level) * data) / size(level)],
    }
  }
  if (scheduler.startsWith('CM')) {
    const { inputScale, skip, out } = consistencyParameterisation()
    return {
      scale: (level) => 1 / alphaOf(level),
      input: (level) => inputScale(level) * alphaOf(level),
      denoised: (level) => [skip(level) * alphaOf(level), out(level)],
    }
  }
  if (usage === 'plain')
    return {
      scale: () => 1,
      input: () => 1,
      denoised: (level) => (velocity ? [alphaOf(level), -sigmaOf(level)] : [1 / alphaOf(level), -edmSigmaOf(level)]),
    }
  return {
    scale: (level) => 1 / alphaOf(level),
    input: alphaOf,
    denoised: (level) =>
      velocity ? [alphaOf(level) ** 2, -edmSigmaOf(level) * alphaOf(level)] : [1, -edmSigmaOf(level)],
  }
}

/** Levels without those that occur twice; where a scheduler ends with a step of no length, with one of nearly none. */
function rising(levels: readonly LogSnr[], endsTwice: boolean): LogSnr[] {
  const kept = levels.filter((level, i) => i === 0 || level > levels[i - 1]! + 1e-5)
  return endsTwice && levels.at(-1)! <= levels.at(-2)! + 1e-5 ? [...kept, kept.at(-1)! + 1e-9] : kept
}

function timestepOf(calls: readonly Call[], level: LogSnr): number {
  const distance = (call: Call): number => (call.level === level ? 0 : Math.abs(call.level - level))
  return calls.reduce((best, call) => (distance(call) < distance(best) ? call : best)).timestep
}
