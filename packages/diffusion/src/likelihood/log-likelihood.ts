import * as tf from '@tensorflow/tfjs-core'
import { type Key, requireInteger, requireTensor } from '@x/core-gpu'
import type { Denoiser } from '../denoiser.ts'
import { type Grid, requireGrid } from '../grid.ts'
import { alphaOf, type LogSnr } from '../noise-level.ts'
import { type Derivative, dormandPrince, heun, rk4, type State, step } from './runge-kutta.ts'

/** Hutchinson's estimate of a trace: random vectors, the same along the whole path. */
export interface TraceProbes {
  /** sample i draws from the key folded by i, so that it is the same in any batch */
  readonly key: Key
  /** how many, each another pass; default 1 */
  readonly count?: number
  /** signs have the smaller variance; default `rademacher` */
  readonly kind?: 'rademacher' | 'normal'
}

/** What is told after a step. */
export interface LikelihoodStep {
  readonly from: LogSnr
  readonly to: LogSnr
}

export interface LogLikelihoodOptions<Condition = unknown> {
  /** handed to the denoiser */
  readonly condition?: Condition
  /** probes, or the exact trace by as many passes as a sample has numbers; default `exact` */
  readonly trace?: 'exact' | TraceProbes
  /** on the grid, or with steps chosen by the error (Dormand and Prince) between the grid's ends; default `rk4` */
  readonly method?: 'heun' | 'rk4' | 'adaptive'
  /** of `adaptive`: error of a step, absolute and relative to x; default 1e-4, float32 does not reach far below 1e-6 */
  readonly tolerance?: number
  /** log density at the grid's noisy end, `[B, ...]` to `[B]`; default: that of independent normal numbers */
  readonly prior?: (x: tf.Tensor) => tf.Tensor
  readonly onStep?: (step: LikelihoodStep) => void | Promise<void>
  /** stops between two steps; the promise rejects with the signal's reason */
  readonly signal?: AbortSignal
}

export interface LogLikelihood {
  /** ln p(x) at the grid's last level, `[B]`, in nats */
  readonly logLikelihood: tf.Tensor1D
  /** where x ends at the grid's first level, `[B, ...]` */
  readonly noise: tf.Tensor
  /** calls of the denoiser, each with a vector-Jacobian product */
  readonly evaluations: number
}

/**
 * The likelihood of samples under a denoiser's probability-flow ODE (arXiv 2011.13456): they are carried to noise, and the
 * change of volume is added up on the way.
 *
 * With the level as time, the flow is dx / dlogSnr = alpha / 2 (D(x) - alpha x). The density is that of the noisy sample at
 * the grid's last level, close to that of clean ones where the level is high. It is the model's own, exact up to steps,
 * float32, the estimate of the trace and what the grid's first level leaves of the data. Needs a denoiser that can be
 * differentiated once.
 * @param x `[B, ...]` at the level of the grid's end, which stays the caller's
 * @param grid rising levels as for samplers, the last finite; walked backwards
 * @throws RangeError for a grid that does not rise or ends at Infinity, or another option out of range
 */
export async function logLikelihood<Condition = unknown>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  grid: Grid,
  options: LogLikelihoodOptions<Condition> = {},
): Promise<LogLikelihood> {
  const { condition, trace = 'exact', method = 'rk4', tolerance = 1e-4, prior = standardNormal, signal } = options
  requireTensor('x', x)
  if (x.rank < 2) throw new RangeError(`x: expected a batch [B, ...], got rank ${x.rank}`)
  requireGrid(grid)
  const [noisy, clean] = [grid[0]!, grid.at(-1)!]
  if (!Number.isFinite(noisy) || !Number.isFinite(clean))
    throw new RangeError(`grid: expected finite levels, got ${noisy} to ${clean}`)
  if (method !== 'heun' && method !== 'rk4' && method !== 'adaptive')
    throw new RangeError(`method: expected heun, rk4 or adaptive, got ${String(method)}`)
  if (!(tolerance > 0)) throw new RangeError(`tolerance: expected a number > 0, got ${String(tolerance)}`)
  signal?.throwIfAborted()
  const probes = trace === 'exact' ? undefined : probesFor(x, trace)
  let evaluations = 0
  const derivative: Derivative = ([at], logSnr) => {
    const directions = probes ?? axesOf(x)
    evaluations += directions.length
    const flow = flowAt(denoiser, at!, logSnr, condition, directions, probes ? probes.length : 1)
    if (!probes) tf.dispose(directions)
    return flow
  }
  const start: State = [tf.clone(x), tf.zeros([x.shape[0]!])]
  const reached = async (from: LogSnr, to: LogSnr): Promise<void> => {
    await options.onStep?.({ from, to })
    signal?.throwIfAborted()
  }
  let end: State | undefined
  try {
    end =
      method === 'adaptive'
        ? await adaptively(derivative, start, grid.toReversed(), tolerance, reached)
        : await onGrid(method === 'rk4' ? rk4 : heun, derivative, start, grid.toReversed(), reached)
    const [noise, volume] = end as [tf.Tensor, tf.Tensor]
    const logLikelihood = tf.tidy(() => tf.add(prior(noise), volume) as tf.Tensor1D)
    return { logLikelihood, noise: tf.clone(noise), evaluations }
  } finally {
    tf.dispose([probes ?? [], end ?? []] as tf.TensorContainer)
  }
}

/**
 * Bits that a number takes, -log2 p / d, for data that were rounded to bins of some width.
 * @param logLikelihood nats, `[B]`
 * @param dimensions numbers in a sample
 * @param binWidth distance of two neighbouring values, such as 2 / 255 for bytes scaled to [-1, 1]; default 1
 * @returns `[B]`
 * @throws RangeError for dimensions that are no whole number from 1, or a width that is not positive
 */
export function bitsPerDimension(logLikelihood: tf.Tensor, dimensions: number, binWidth: number = 1): tf.Tensor {
  requireInteger('dimensions', dimensions, 1)
  if (!(binWidth > 0 && binWidth < Infinity))
    throw new RangeError(`binWidth: expected a number > 0, got ${String(binWidth)}`)
  return tf.tidy(() => tf.sub(tf.div(logLikelihood, -dimensions * Math.LN2), Math.log2(binWidth)))
}

/** The flow of x `[B, ...]` and its divergence `[B]`, from products with each direction. */
function flowAt<Condition>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  logSnr: LogSnr,
  condition: Condition | undefined,
  directions: readonly tf.Tensor[],
  count: number,
): State {
  return tf.tidy(() => {
    const alpha = alphaOf(logSnr)
    const evaluate = tf.valueAndGrad((at: tf.Tensor) => denoiser(at, logSnr, condition))
    let denoised: tf.Tensor | undefined
    let trace: tf.Tensor = tf.zeros([x.shape[0]!])
    for (const direction of directions) {
      const { value, grad } = evaluate(x, direction)
      if (denoised) value.dispose()
      denoised ??= value
      trace = tf.add(
        trace,
        tf.tidy(() => perSample(tf.mul(grad, direction))),
      )
      grad.dispose()
    }
    const size = x.size / x.shape[0]!
    const velocity = tf.mul(alpha / 2, tf.sub(denoised!, tf.mul(alpha, x)))
    const divergence = tf.mul(alpha / 2, tf.sub(tf.div(trace, count), alpha * size))
    return [velocity, divergence]
  })
}

async function onGrid(
  tableau: typeof rk4,
  derivative: Derivative,
  start: State,
  levels: readonly LogSnr[],
  reached: (from: LogSnr, to: LogSnr) => Promise<void>,
): Promise<State> {
  let state = start
  try {
    for (let i = 1; i < levels.length; i++) {
      const [from, to] = [levels[i - 1]!, levels[i]!]
      const next = step(tableau, derivative, state, from, to - from)
      tf.dispose(state as tf.Tensor[])
      state = next.state
      await reached(from, to)
    }
    return state
  } catch (error) {
    tf.dispose(state as tf.Tensor[])
    throw error
  }
}

/** Steps grow and shrink with the error of the worst sample; the first is the grid's. */
async function adaptively(
  derivative: Derivative,
  start: State,
  levels: readonly LogSnr[],
  tolerance: number,
  reached: (from: LogSnr, to: LogSnr) => Promise<void>,
): Promise<State> {
  const [first, last] = [levels[0]!, levels.at(-1)!]
  const shortest = (first - last) * 1e-6
  let state = start
  let [at, length] = [first, first - levels[1]!]
  try {
    while (at > last) {
      const ends = length >= at - last
      const to = ends ? last : at - length
      const { state: next, error } = step(dormandPrince, derivative, state, at, to - at)
      const off = await worst(state, next, error, tolerance)
      tf.dispose(error as tf.Tensor[])
      // Written so that NaN ends the search rather than goes on.
      const accepted = !(off > 1) || length <= shortest
      tf.dispose((accepted ? state : next) as tf.Tensor[])
      if (accepted) {
        state = next
        const from = at
        at = to
        await reached(from, to)
      }
      length *= Math.min(5, Math.max(0.2, 0.9 * Math.max(off, 1e-9) ** (-1 / dormandPrince.order)))
    }
    return state
  } catch (error) {
    tf.dispose(state as tf.Tensor[])
    throw error
  }
}

/** The greatest error of a sample's x or log density, in tolerances. */
async function worst(before: State, after: State, error: State, tolerance: number): Promise<number> {
  const measured = tf.tidy(() => {
    const each = error.map((off, i) => {
      const size = tf.maximum(tf.abs(before[i]!), tf.abs(after[i]!))
      const ratio = tf.div(off, tf.mul(tolerance, tf.add(1, size)))
      return tf.max(tf.sqrt(tf.div(perSample(tf.square(ratio)), off.size / off.shape[0]!)))
    })
    return each.reduce((a, b) => tf.maximum(a, b))
  })
  const [value] = await measured.data()
  measured.dispose()
  return value!
}

/** Unit vectors of a sample's numbers, each for the whole batch. */
function axesOf(x: tf.Tensor): tf.Tensor[] {
  const [batch, size] = [x.shape[0]!, x.size / x.shape[0]!]
  return Array.from({ length: size }, (_, i) => {
    const values = new Float32Array(x.size)
    for (let b = 0; b < batch; b++) values[b * size + i] = 1
    return tf.tensor(values, x.shape)
  })
}

function probesFor(x: tf.Tensor, { key, count = 1, kind = 'rademacher' }: TraceProbes): tf.Tensor[] {
  requireInteger('trace.count', count, 1)
  if (kind !== 'rademacher' && kind !== 'normal')
    throw new RangeError(`trace.kind: expected rademacher or normal, got ${String(kind)}`)
  if (typeof (key as Partial<Key> | undefined)?.fold !== 'function')
    throw new TypeError('trace.key: expected a key, made by key(seed)')
  const [batch, size] = [x.shape[0]!, x.size / x.shape[0]!]
  const keys = Array.from({ length: batch }, (_, i) => key.fold(i))
  return Array.from({ length: count }, (_, probe) =>
    tf.tidy(() => {
      const rows = keys.map((own) => {
        const source = own.fold(probe)
        if (kind === 'normal') return source.normal([size])
        return tf.tensor1d(Float32Array.from(source.bits(size), (word) => (word >>> 31 === 1 ? 1 : -1)))
      })
      return tf.reshape(
        rows.reduce<tf.Tensor>((all, row) => tf.concat([all, row]), tf.zeros([0])),
        x.shape,
      )
    }),
  )
}

function standardNormal(x: tf.Tensor): tf.Tensor {
  const size = x.size / x.shape[0]!
  return tf.mul(-0.5, tf.add(perSample(tf.square(x)), size * Math.log(2 * Math.PI)))
}

/** Sums over all but the batch, `[B]`. */
function perSample(x: tf.Tensor): tf.Tensor {
  return tf.sum(tf.reshape(x, [x.shape[0]!, -1]), 1)
}
