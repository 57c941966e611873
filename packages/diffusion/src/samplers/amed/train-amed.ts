import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import type { Denoiser } from '../../denoiser.ts'
import type { Grid } from '../../grid.ts'
import type { Sampler } from '../../sampler.ts'
import { heun } from '../heun/heun.ts'
import { noiseIn, stepSize } from '../probability-flow.ts'
import { beginSampling, type Sampling } from '../stepwise.ts'
import { type AmedPoint, followed, levelAt, slopeWithin } from './amed.ts'

/** The sampler that is learned from. */
export interface TeacherOptions<Condition = unknown> {
  /** default `heun()` */
  readonly teacher?: Sampler
  /** M: how many levels the teacher goes through within each step, evenly in logSNR; default 3 */
  readonly extra?: number
  /** handed to the denoiser */
  readonly condition?: Condition
  /** ends the search; the promise rejects with the signal's reason */
  readonly signal?: AbortSignal
}

export interface TrainAmedOptions<Condition = unknown> extends TeacherOptions<Condition> {
  /** how far the scale may be from 1, such as 0.01; default 0, not learned */
  readonly scaleRange?: number
  /** how far the noise told may be from 1, such as 0.2; default 0, not learned */
  readonly noiseRange?: number
  /** whether the first slope is x itself, as the sampler's option says; default false */
  readonly freeFirstSlope?: boolean
}

/**
 * Finds AMED's points: step by step, where the student's own trajectory comes nearest to the teacher's.
 *
 * A step has one to three numbers, and levels are no tensors: they are searched for, with about 20 calls of the denoiser a
 * step for the position and as many again for the noise, while the best scale is a quotient. arXiv 2312.00094
 * @param x samples at the grid's first level, `[B, ...]`; some dozens will do
 * @returns a point for each step of the grid; halfway where a step begins or ends at an infinite level
 * @throws TypeError or RangeError naming the argument that is wrong
 */
export async function trainAmed<Condition>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  grid: Grid,
  options: TrainAmedOptions<Condition> = {},
): Promise<AmedPoint[]> {
  const { scaleRange = 0, noiseRange = 0, freeFirstSlope = false, condition, signal } = options
  requireRange('scaleRange', scaleRange)
  requireRange('noiseRange', noiseRange)
  const sampling = beginSampling(denoiser, x, grid, condition === undefined ? {} : { condition }, {})
  const targets = await teacherStates(denoiser, x, grid, options)
  const points: AmedPoint[] = []
  let at = tf.clone(x)
  let first: tf.Tensor | undefined
  try {
    for (let step = 0; step < grid.length - 1; step++) {
      const [from, to] = [grid[step]!, grid[step + 1]!]
      if (!Number.isFinite(stepSize(from, to))) {
        points.push({ position: 0.5 })
        // The student's step is then the teacher's up to its order.
        at.dispose()
        at = tf.clone(targets[step]!)
        continue
      }
      first = tf.tidy(() =>
        freeFirstSlope && step === 0 ? tf.clone(at) : noiseIn(at, sampling.denoise(at, from), from),
      )
      const goal: Goal = { sampling, x: at, first, target: targets[step]!, from, to, scaleRange }
      const tried = async (position: number, noise: number): Promise<number> => {
        signal?.throwIfAborted()
        return (await lossOf(goal, { position, noise })).loss
      }
      const position = await least((r) => tried(r, 1), 0.02, 0.98)
      const noise = noiseRange > 0 ? await least((a) => tried(position, a), 1 - noiseRange, 1 + noiseRange) : 1
      const { scale } = await lossOf(goal, { position, noise })
      const point: AmedPoint = {
        position,
        ...(scaleRange > 0 && { scale }),
        ...(noiseRange > 0 && { noise }),
      }
      points.push(point)
      const next = tf.tidy(() =>
        followed(at, slopeWithin(sampling.denoise, at, first!, { from, to, point }).slope, { from, to, point }),
      )
      tf.dispose([at, first])
      at = next
      first = undefined
    }
    return points
  } finally {
    tf.dispose([at, targets, first ?? []] as tf.TensorContainer)
  }
}

interface Goal {
  readonly sampling: Sampling
  readonly x: tf.Tensor
  readonly first: tf.Tensor
  readonly target: tf.Tensor
  readonly from: number
  readonly to: number
  readonly scaleRange: number
}

/** How far a point's step ends from the target, and the scale with which that is least. */
async function lossOf(
  { sampling, x, first, target, from, to, scaleRange }: Goal,
  { position, noise }: Required<Omit<AmedPoint, 'scale'>>,
): Promise<{ loss: number; scale: number }> {
  const step = { from, to, point: { position, noise } }
  const slope = tf.tidy(() => slopeWithin(sampling.denoise, x, first, step).slope)
  try {
    let scale = 1
    if (scaleRange > 0) {
      // The end is straight in the scale: the nearest to the target is a projection.
      const [along, square] = await numbers(() => {
        const start = followed(x, slope, { ...step, point: { position, scale: 0 } })
        const way = tf.sub(followed(x, slope, step), start)
        return [tf.sum(tf.mul(way, tf.sub(target, start))), tf.sum(tf.square(way))]
      })
      scale = Math.min(1 + scaleRange, Math.max(1 - scaleRange, along! / square!))
    }
    const end = { ...step, point: { position, noise, scale } }
    const [loss] = await numbers(() => [tf.mean(tf.squaredDifference(followed(x, slope, end), target))])
    return { loss: loss!, scale }
  } finally {
    slope.dispose()
  }
}

export interface TrainAmedGridOptions<Condition = unknown> extends TeacherOptions<Condition> {
  /** the sampler that will go through the grid */
  readonly sampler: Sampler
}

/**
 * AMED as a plug-in: finds a level within each step of a grid with which a sampler comes nearest to the teacher, so that any
 * sampler goes through learned levels. The sampler then makes twice as many steps.
 *
 * Each level is searched for with the ones before it in place, so that samplers that remember are learned with their memory.
 * Every level tried is an end: one that lowers its order there should be told not to. arXiv 2312.00094
 * @param x samples at the grid's first level, `[B, ...]`
 * @returns the grid with its learned levels; a step with an infinite end has none
 * @throws TypeError or RangeError naming the argument that is wrong
 */
export async function trainAmedGrid<Condition>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  grid: Grid,
  options: TrainAmedGridOptions<Condition>,
): Promise<Grid> {
  const { sampler, condition, signal } = options
  if (typeof sampler !== 'function') throw new TypeError(`sampler: expected a sampler, got ${typeof sampler}`)
  beginSampling(denoiser, x, grid, {}, {})
  const targets = await teacherStates(denoiser, x, grid, options)
  const levels = [grid[0]!]
  try {
    for (let step = 0; step < grid.length - 1; step++) {
      const [from, to] = [grid[step]!, grid[step + 1]!]
      if (Number.isFinite(stepSize(from, to))) {
        const position = await least(
          async (r) => {
            const through = [...levels, levelAt({ from, to, point: { position: r } }), to]
            const end = await sampler(denoiser, x, through, {
              ...(condition !== undefined && { condition }),
              ...(signal && { signal }),
            })
            try {
              const [loss] = await numbers(() => [tf.mean(tf.squaredDifference(end, targets[step]!))])
              return loss!
            } finally {
              end.dispose()
            }
          },
          0.02,
          0.98,
        )
        levels.push(levelAt({ from, to, point: { position } }))
      }
      levels.push(to)
    }
    return levels
  } finally {
    tf.dispose(targets)
  }
}

/** A grid with the levels of points within its steps, for any sampler to go through; steps with an infinite end have none. */
export function insertAmedPoints(grid: Grid, points: readonly AmedPoint[]): Grid {
  if (points.length !== grid.length - 1)
    throw new RangeError(`points: expected one for each of ${grid.length - 1} steps, got ${points.length}`)
  return grid.flatMap((level, i) => {
    const next = grid[i + 1]
    if (next === undefined || !Number.isFinite(stepSize(level, next))) return [level]
    return [level, levelAt({ from: level, to: next, point: points[i]! })]
  })
}

/** Where the teacher is at the end of each step; the caller disposes them. */
async function teacherStates<Condition>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  grid: Grid,
  { teacher = heun(), extra = 3, condition, signal }: TeacherOptions<Condition>,
): Promise<tf.Tensor[]> {
  requireInteger('extra', extra, 1)
  const ends = new Set(grid)
  const fine = grid.flatMap((level, i) => {
    const next = grid[i + 1]
    if (next === undefined || !Number.isFinite(stepSize(level, next))) return [level]
    return Array.from({ length: extra + 1 }, (_, k) => level + (k / (extra + 1)) * (next - level))
  })
  const states: tf.Tensor[] = []
  try {
    const end = await teacher(denoiser, x, fine, {
      ...(condition !== undefined && { condition }),
      ...(signal && { signal }),
      onStep: ({ x: at, to }) => {
        if (ends.has(to)) states.push(tf.clone(at))
      },
    })
    end.dispose()
    return states
  } catch (error) {
    tf.dispose(states)
    throw error
  }
}

/** Reads scalars together. */
async function numbers(of: () => tf.Tensor[]): Promise<number[]> {
  const together = tf.tidy(() => tf.stack(of()))
  try {
    return Array.from(await together.data())
  } finally {
    together.dispose()
  }
}

/** Where a function is least: the best of nine places, then golden section around it. */
async function least(f: (at: number) => Promise<number>, low: number, high: number): Promise<number> {
  const spacing = (high - low) / 8
  const places = Array.from({ length: 9 }, (_, i) => low + i * spacing)
  const values: number[] = []
  for (const place of places) values.push(await f(place))
  const best = values.indexOf(Math.min(...values))
  if (best < 0) throw new RangeError('denoiser: expected finite predictions, got none')
  let [a, b] = [Math.max(low, places[best]! - spacing), Math.min(high, places[best]! + spacing)]
  const golden = (Math.sqrt(5) - 1) / 2
  let [c, d] = [b - golden * (b - a), a + golden * (b - a)]
  let [atC, atD] = [await f(c), await f(d)]
  for (let i = 0; i < 9; i++) {
    if (atC < atD) {
      ;[b, d, atD] = [d, c, atC]
      c = b - golden * (b - a)
      atC = await f(c)
    } else {
      ;[a, c, atC] = [c, d, atD]
      d = a + golden * (b - a)
      atD = await f(d)
    }
  }
  return (a + b) / 2
}

function requireRange(name: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw new RangeError(`${name}: expected a number in [0, 1), got ${value}`)
}
