import * as tf from '@tensorflow/tfjs-core'
import { AdamW, BaseModule, type Key, key as makeKey, Linear, requireInteger, silu, train } from '@x/core-gpu'
import { type Grid, requireGrid } from '../../grid.ts'
import { stepSize } from '../probability-flow.ts'
import type { AmedPoint } from './amed.ts'

export interface AmedPredictorOptions {
  /** default 32 */
  readonly hidden?: number
  /** how far the scale may be from 1; default 0, always 1 */
  readonly scaleRange?: number
  /** how far the noise told may be from 1; default 0, always 1 */
  readonly noiseRange?: number
  /** draws the first weights; default `key(0)` */
  readonly key?: Key
}

/**
 * Predicts AMED's points from the two levels of a step, so that grids need no search of their own.
 *
 * The paper's predictor also sees the U-Net's bottleneck, and gives each sample a time of its own; here a level belongs to a
 * whole batch, and a sample must not depend on the others in it. arXiv 2312.00094
 */
export class AmedPredictor extends BaseModule {
  readonly input: Linear
  readonly inner: Linear
  readonly output: Linear
  readonly #ranges: readonly [scale: number, noise: number]

  /** @throws RangeError when an option is out of range */
  constructor(options: AmedPredictorOptions = {}) {
    super()
    const { hidden = 32, scaleRange = 0, noiseRange = 0, key = makeKey(0) } = options
    requireInteger('hidden', hidden, 1)
    for (const [name, range] of Object.entries({ scaleRange, noiseRange }))
      if (!(range >= 0 && range < 1)) throw new RangeError(`${name}: expected a number in [0, 1), got ${range}`)
    const [a, b, c] = key.split(3) as [Key, Key, Key]
    this.input = new Linear(3, hidden, { key: a })
    this.inner = new Linear(hidden, hidden, { key: b })
    this.output = new Linear(hidden, 3, { key: c })
    this.#ranges = [scaleRange, noiseRange]
  }

  /** @returns position, scale and noise for steps of `levels` `[n, 2]`, `[n, 3]` */
  forward(levels: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const [from, to] = tf.split(tf.mul(levels, 0.2), 2, 1) as [tf.Tensor, tf.Tensor]
      const hidden = silu(this.inner.forward(silu(this.input.forward(tf.concat([from, to, tf.sub(to, from)], 1)))))
      const [position, scale, noise] = tf.split(this.output.forward(hidden), 3, 1) as [tf.Tensor, tf.Tensor, tf.Tensor]
      const around1 = (x: tf.Tensor, range: number): tf.Tensor => tf.add(1, tf.mul(range, tf.tanh(x)))
      return tf.concat(
        [tf.sigmoid(position), around1(scale, this.#ranges[0]), around1(noise, this.#ranges[1])],
        1,
      ) as tf.Tensor2D
    })
  }

  /**
   * @returns a point for each step of a grid; halfway where a step begins or ends at an infinite level
   * @throws RangeError for a grid that does not rise
   */
  async pointsOf(grid: Grid): Promise<AmedPoint[]> {
    requireGrid(grid)
    const steps = grid.slice(1).map((to, i) => [grid[i]!, to] as const)
    const finite = steps.filter(([from, to]) => Number.isFinite(stepSize(from, to)))
    const found = finite.length > 0 ? await this.#pointsOf(finite) : []
    return steps.map((step) => found[finite.indexOf(step)] ?? { position: 0.5 })
  }

  async #pointsOf(steps: readonly (readonly [number, number])[]): Promise<AmedPoint[]> {
    const points = tf.tidy(() => this.forward(tf.tensor2d(steps.map((step) => [...step]))))
    try {
      return (await points.array()).map(([position, scale, noise]) => ({
        position: position!,
        scale: scale!,
        noise: noise!,
      }))
    } finally {
      points.dispose()
    }
  }
}

/** A grid and the points that were found for it. */
export interface AmedTable {
  readonly grid: Grid
  readonly points: readonly AmedPoint[]
}

export interface FitAmedPredictorOptions {
  /** default 1000 */
  readonly steps?: number
  /** default 0.01 */
  readonly learningRate?: number
  readonly signal?: AbortSignal
}

/**
 * Fits a predictor to what `trainAmed` found for some grids; it then answers for those between them.
 * @returns the mean squared error of what it predicts, over the numbers that are learned
 * @throws RangeError for no tables, or one that has not a point for each step
 */
export async function fitAmedPredictor(
  predictor: AmedPredictor,
  tables: readonly AmedTable[],
  options: FitAmedPredictorOptions = {},
): Promise<number> {
  const { steps = 1000, learningRate = 0.01, signal } = options
  const rows = tables.flatMap(({ grid, points }, at) => {
    if (points.length !== grid.length - 1)
      throw new RangeError(`tables[${at}]: expected a point for each of ${grid.length - 1} steps, got ${points.length}`)
    return points
      .map(({ position, scale = 1, noise = 1 }, i) => ({
        levels: [grid[i]!, grid[i + 1]!],
        wanted: [position, scale, noise],
      }))
      .filter(({ levels }) => levels.every(Number.isFinite))
  })
  if (rows.length === 0) throw new RangeError('tables: expected at least one step between finite levels, got none')
  const error = (levels: tf.Tensor2D, wanted: tf.Tensor2D): tf.Scalar =>
    tf.mean(tf.squaredDifference(predictor.forward(levels), wanted))
  const batch = (): { levels: tf.Tensor2D; wanted: tf.Tensor2D } => ({
    levels: tf.tensor2d(rows.map(({ levels }) => levels)),
    wanted: tf.tensor2d(rows.map(({ wanted }) => wanted)),
  })
  const optimizer = new AdamW({ learningRate, weightDecay: 0 })
  try {
    await train(predictor, {
      data: batch,
      loss: ({ levels, wanted }) => error(levels, wanted),
      optimizer,
      steps,
      progress: 'silent',
      handleInterrupt: false,
      signal,
    })
  } finally {
    optimizer.dispose()
  }
  const last = tf.tidy(() => {
    const { levels, wanted } = batch()
    return error(levels, wanted)
  })
  const [value] = await last.data()
  last.dispose()
  return value!
}
