import * as tf from '@tensorflow/tfjs-core'
import { type Key, key } from '@x/core-gpu'
import {
  alphaOf,
  amed,
  gaussianMixture,
  type Grid,
  karrasGrid,
  logSnrGrid,
  logSnrOfEdmSigma,
  type Sampler,
  trainAmed,
  unipc,
} from '@x/diffusion'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { fixedSampler, stepsFor } from '../fixed-samplers.ts'
import { makeSampler } from '../make-sampler.ts'
import { exactEnd, type PlanarMixture, type Point, ring, scattered, sensitivity, sigmas } from './exact-flow.ts'
import { type ErrorAt, fitOrder, fitRange } from './fit-order.ts'
import { fewCalls, reportedSteps, stepCounts } from './grids.ts'

/** Trajectories that make more of an error than this would hide the order: they begin between two basins. */
const mostSensitive = 1.03
const trainingStarts = 64
/** Of the sampler that measures what float32 leaves: its own error is far below. */
const floorSteps = 512

/** Points at the greatest sigma. */
function startsFrom(mixture: PlanarMixture, count: number, drawn: Key): Point[] {
  const starts: Point[] = []
  for (let round = 0; starts.length < count; round++) {
    const values = tf.tidy(() => drawn.fold(round).normal([count, 2], { standardDeviation: sigmas.max }).dataSync())
    for (let i = 0; i < count && starts.length < count; i++) {
      const start = [values[2 * i]!, values[2 * i + 1]!] as const
      if (sensitivity(mixture, start) <= mostSensitive) starts.push(start)
    }
  }
  return starts
}

/** Trajectories of a mixture, and how far a sampler's ends are from theirs. */
class Trajectories {
  readonly mixture: ReturnType<typeof gaussianMixture>
  readonly #starts: readonly Point[]
  readonly #ends: readonly number[]

  constructor(problem: PlanarMixture, count: number, drawn: Key) {
    const { means, variances, weights } = problem
    this.mixture = gaussianMixture({ means, covariances: variances, weights })
    this.#starts = startsFrom(problem, count, drawn)
    this.#ends = this.#starts.flatMap((start) => exactEnd(problem, start))
  }

  /** @returns `[count, 2]`, variance preserving at the grid's first level */
  begin(grid: Grid): tf.Tensor2D {
    const alpha = alphaOf(grid[0]!)
    return tf.tensor2d(this.#starts.map((start) => start.map((value) => value * alpha)))
  }

  /** The root of the mean squared error of coordinates, in EDM's scale; and the calls that it took. */
  async errorOf(sampler: Sampler, grid: Grid): Promise<{ error: number; calls: number }> {
    let calls = 0
    const x = this.begin(grid)
    const end = await sampler(
      (at, level) => {
        calls++
        return this.mixture.denoise(at, level)
      },
      x,
      grid,
    )
    const values = await end.data()
    tf.dispose([x, end])
    const alpha = alphaOf(grid.at(-1)!)
    const squares = this.#ends.reduce((sum, value, i) => sum + (values[i]! / alpha - value) ** 2, 0)
    return { error: Math.sqrt(squares / this.#ends.length), calls }
  }

  dispose(): void {
    this.mixture.dispose()
  }
}

function evenGrid(steps: number): Grid {
  const [logSnrMin, logSnrMax] = [logSnrOfEdmSigma(sigmas.max), logSnrOfEdmSigma(sigmas.min)]
  return logSnrGrid({ steps, logSnrMin, logSnrMax, final: 'min' })
}

function edmGrid(steps: number): Grid {
  return karrasGrid({ steps, sigmaMin: sigmas.min, sigmaMax: sigmas.max, final: 'min' })
}

/** Fits a sampler's order and measures it where calls are few. */
export async function measureOrder({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const learned = run.method === 'amed'
  const method = learned ? undefined : fixedSampler(run.method)
  const device = await openBackend(run.backend)
  const count = run.quick ? 32 : 256
  const counts = run.quick ? stepCounts.filter((steps) => steps <= 64) : stepCounts
  const [ringKey, fewKey, trainingKey] = key(run.seed).split(3) as [Key, Key, Key]
  const metrics: Record<string, number[]> = {}
  const errors: ErrorAt[] = []
  let facts = {}

  if (method) {
    const trajectories = new Trajectories(ring, count, ringKey)
    const sampler = makeSampler(run, true)
    for (const steps of counts) {
      signal.throwIfAborted()
      const { error } = await trajectories.errorOf(sampler, evenGrid(steps))
      errors.push({ steps, error })
      progress(steps / (3 * counts.at(-1)!), `${steps} steps: ${error.toExponential(2)}`)
    }
    const reference = unipc({ order: 3, lowerOrderFinal: false })
    const { error: floor } = await trajectories.errorOf(reference, evenGrid(run.quick ? 256 : floorSteps))
    trajectories.dispose()
    const range = fitRange(errors, floor)
    const fitted = fitOrder(range)
    if (fitted !== undefined) metrics.order = [fitted]
    for (const { steps, error } of errors)
      if (reportedSteps.includes(steps) && Number.isFinite(error)) metrics[`steps${steps}`] = [error]
    facts = { floor, fittedFrom: range[0]?.steps ?? 0, fittedTo: range.at(-1)?.steps ?? 0 }
  }

  const few = new Trajectories(scattered, count, fewKey)
  for (const calls of fewCalls) {
    signal.throwIfAborted()
    const steps = method ? stepsFor(method, calls, run.params) : calls / 2
    if (steps === undefined) continue
    const grid = edmGrid(steps)
    const sampler = learned ? await trained(few, grid, trainingKey) : makeSampler(run, true)
    const measured = await few.errorOf(sampler, grid)
    if (measured.calls !== calls) throw new Error(`${run.method}: ${measured.calls} calls instead of ${calls}`)
    metrics[`calls${calls}`] = [measured.error]
    progress(1 - 1 / (1 + calls), `${calls} calls: ${measured.error.toExponential(2)}`)
  }
  few.dispose()

  const finite = errors.filter(({ error }) => Number.isFinite(error))
  return {
    metrics,
    ...(finite.length > 0 && {
      curves: {
        error: {
          title: 'error of the end',
          unit: 'rmse',
          by: 'step count',
          steps: finite.map(({ steps }) => steps),
          values: finite.map(({ error }) => error),
        },
      },
    }),
    facts: { ...facts, trajectories: count, mostSensitive, sigmaMax: sigmas.max, sigmaMin: sigmas.min },
    device: { ...device.describe() },
  }
}

/** AMED with points learned for a grid, from samples of their own. */
async function trained({ mixture }: Trajectories, grid: Grid, drawn: Key): Promise<Sampler> {
  const x = tf.tidy(() => tf.mul(drawn.normal([trainingStarts, 2]), Math.sqrt(1 - alphaOf(grid[0]!) ** 2)))
  const points = await trainAmed(mixture.denoise, x, grid)
  x.dispose()
  return amed({ points })
}
