import * as tf from '@tensorflow/tfjs-core'
import { describeShape, describeValue, type Key, requireInteger, requireTensor } from '@x/core-gpu'
import type { Denoiser } from '../denoiser.ts'
import { type Grid, requireGrid } from '../grid.ts'
import type { LogSnr } from '../noise-level.ts'
import { brownianNoise } from '../noise/brownian-tree.ts'
import { hasLearnedVariance } from '../predictions/learned-variance.ts'
import type { Sampler, SampleOptions } from '../sampler.ts'

/** One sampling under way, as a sampler sees it. */
export interface Sampling {
  readonly grid: Grid
  /** the clean sample as the denoiser predicts it, under the condition of this sampling */
  denoise(x: tf.Tensor, level: LogSnr): tf.Tensor
  /** the same with the variance as a place between its bounds; undefined for a denoiser that has learned none */
  readonly withVariance:
    ((x: tf.Tensor, level: LogSnr) => { readonly denoised: tf.Tensor; readonly fraction: tf.Tensor }) | undefined
  /**
   * Standard normal noise of x's shape, each sample's from its own key.
   * @param step and `draw`, which of several within it, say which noise; the same twice gives the same twice
   */
  noise(step: number, draw?: number): tf.Tensor
  /** Standard normal noise of x's shape, which a Brownian motion of each sample makes between two levels. */
  brownian(from: LogSnr, to: LogSnr): tf.Tensor
}

/** From one level of the grid to the next. */
export interface Interval {
  /** from 0 */
  readonly step: number
  readonly steps: number
  readonly from: LogSnr
  readonly to: LogSnr
}

/** Where a step arrived. */
export interface Arrival {
  /** at the level `to` */
  readonly x: tf.Tensor
  readonly denoised: tf.Tensor
  /** what the next step is given besides x; default: nothing */
  readonly memory?: readonly tf.Tensor[]
}

/**
 * Takes x over an interval; runs inside a `tf.tidy`, and disposes nothing.
 * @param memory what the step before left; empty at first
 */
export type Step = (x: tf.Tensor, interval: Interval, memory: readonly tf.Tensor[]) => Arrival

/** What a sampler asks of its arguments. */
export interface SamplerNeeds {
  /** whether it draws noise, for which it needs a key; default false */
  readonly draws?: boolean
  /** whether it goes from clean to noise, along a grid that falls; default false */
  readonly falling?: boolean
  /** whether the first level must not be noise alone; default false */
  readonly finiteStart?: boolean
}

/**
 * Makes a sampler of one step: checks the arguments, walks the grid, reports, stops when asked to, and disposes whatever is
 * not the caller's, also when something throws.
 * @param begin called at the start of each sampling; whatever it sets up belongs to that sampling alone
 */
export function stepwise(begin: (sampling: Sampling) => Step, needs: SamplerNeeds = {}): Sampler {
  return async (denoiser, x, grid, options = {}) => {
    const sampling = beginSampling(denoiser, x, grid, options, needs)
    const step = begin(sampling)
    const held = new Held(x)
    const pause = pauser()
    try {
      let arrival: Arrival = { x, denoised: x }
      const steps = grid.length - 1
      for (let i = 0; i < steps; i++) {
        options.signal?.throwIfAborted()
        const interval = { step: i, steps, from: grid[i]!, to: grid[i + 1]! }
        const { x, memory = [] } = arrival
        arrival = tidied(() => step(x, interval, memory))
        held.keepOnly(arrival)
        await options.onStep?.({ ...interval, x: arrival.x, denoised: arrival.denoised })
        await pause()
      }
      return held.handOver(arrival.x)
    } finally {
      held.dispose()
    }
  }
}

/** Runs a step and lets go of everything but where it arrived. */
export function tidied<A extends Arrival>(step: () => A): A {
  return tf.tidy(() => step() as unknown as tf.TensorContainer) as unknown as A
}

/**
 * Checks the arguments of a sampler.
 * @throws TypeError or RangeError naming the argument that is wrong
 */
export function beginSampling<Condition>(
  denoiser: Denoiser<Condition>,
  x: tf.Tensor,
  grid: Grid,
  { condition, key, firstSample = 0 }: SampleOptions<Condition>,
  { draws = false, falling = false, finiteStart = false }: SamplerNeeds,
): Sampling {
  if (typeof denoiser !== 'function')
    throw new TypeError(`denoiser: expected a function, got ${describeValue(denoiser)}`)
  requireTensor('x', x)
  const [batch, ...sample] = x.shape
  if (batch === undefined || x.dtype !== 'float32')
    throw new RangeError(`x: expected float32 [B, ...], got ${x.dtype} ${describeShape(x.shape)}`)
  if (falling) requireFallingGrid(grid)
  else requireGrid(grid)
  if (finiteStart && !Number.isFinite(grid[0]!))
    throw new RangeError(`grid: expected a finite first level, got ${grid[0]}`)
  requireInteger('firstSample', firstSample, 0)
  if (draws && !key) throw new RangeError('key: expected one, since this sampler draws noise, got undefined')
  const checked = (denoised: tf.Tensor): tf.Tensor => {
    requireTensor('denoiser', denoised)
    if (!tf.util.arraysEqual(denoised.shape, x.shape))
      throw new RangeError(
        `denoiser: expected a prediction ${describeShape(x.shape)}, got ${describeShape(denoised.shape)}`,
      )
    return denoised
  }
  const keyOf = (i: number): Key => {
    if (!key) throw new RangeError('key: expected one, since this sampler draws noise, got undefined')
    return key.fold(firstSample + i)
  }
  return {
    grid,
    denoise: (x, level) => checked(denoiser(x, level, condition)),
    withVariance: hasLearnedVariance(denoiser)
      ? (x, level) => {
          const { denoised, fraction } = denoiser.withVariance(x, level, condition)
          return { denoised: checked(denoised), fraction: checked(fraction) }
        }
      : undefined,
    noise: (step, draw = 0) =>
      tf.tidy(() => tf.stack(Array.from({ length: batch }, (_, i) => keyOf(i).fold(step).fold(draw).normal(sample)))),
    brownian: (from, to) =>
      brownianNoise(
        Array.from({ length: batch }, (_, i) => keyOf(i).split(1)[0]!),
        sample,
        from,
        to,
      ),
  }
}

function requireFallingGrid(grid: Grid): void {
  if (grid.length < 2) throw new RangeError(`grid: expected at least two levels, got ${grid.length}`)
  for (let i = 0; i < grid.length; i++)
    if (Number.isNaN(grid[i]!) || (i > 0 && !(grid[i]! < grid[i - 1]!)))
      throw new RangeError(
        `grid: expected falling levels of logSNR, got ${grid[i]} at ${i} after ${grid[i - 1] ?? 'nothing'}`,
      )
}

/** The tensors of a sampling that are not the caller's. */
export class Held {
  readonly #caller: tf.Tensor
  #held = new Set<tf.Tensor>()

  constructor(caller: tf.Tensor) {
    this.#caller = caller
  }

  /** Holds these as well. */
  add({ x, denoised, memory = [] }: Arrival, ...others: readonly tf.Tensor[]): void {
    for (const tensor of [x, denoised, ...memory, ...others]) if (tensor !== this.#caller) this.#held.add(tensor)
  }

  /** Disposes what is held and not in `arrival`, and holds that instead. */
  keepOnly({ x, denoised, memory = [] }: Arrival): void {
    const kept = new Set([x, denoised, ...memory])
    kept.delete(this.#caller)
    for (const tensor of this.#held) if (!kept.has(tensor)) tensor.dispose()
    this.#held = kept
  }

  /** Lets go of the result, which is the caller's from here. */
  handOver(x: tf.Tensor): tf.Tensor {
    this.#held.delete(x)
    return x
  }

  dispose(): void {
    for (const tensor of this.#held) tensor.dispose()
    this.#held.clear()
  }
}

/** Gives way to everything else from time to time: on some backends steps wait for nothing, and no stop would be heard. */
export function pauser(every = 20): () => Promise<void> {
  let last = performance.now()
  return async () => {
    if (performance.now() - last < every) return
    await new Promise<void>((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', () => {
        port1.close()
        resolve()
      })
      port1.start()
      port2.postMessage(null)
    })
    last = performance.now()
  }
}
