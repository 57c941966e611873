import * as tf from '@tensorflow/tfjs-core'
import { valueAndGradients } from '../autodiff/value-and-gradients.ts'
import type { Module } from '../module/module.ts'
import { globalNorm, requireMaximum } from '../optim/clip.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { WeightEma } from '../optim/weight-ema.ts'
import { type Key, key as makeKey } from '../random/key.ts'
import { describeShape, describeValue, requireInteger } from '../validation/validation.ts'
import { type CheckpointStore, fileStore, readCheckpoint, writeCheckpoint } from './checkpoint-store.ts'
import { firstNonFinite } from './first-non-finite.ts'
import { nodeProcess, onFirstInterrupt } from './interrupt.ts'
import { NonFiniteError } from './non-finite-error.ts'
import { pauser } from './pauser.ts'
import { ProgressClock, type ProgressEvent, progressReporter } from './progress.ts'

/** The step that data or a loss is wanted for. */
export interface StepContext {
  /** counted from 0 */
  readonly step: number
  /** belongs to this step, and to data or loss alone */
  readonly key: Key
}

/** A loss, and scalars to report beside it. */
export interface LossAndMetrics {
  readonly loss: tf.Scalar
  readonly metrics?: Record<string, tf.Scalar>
}

/** What a step came to. */
export interface StepReport {
  /** counted from 0 */
  readonly step: number
  readonly loss: number
  /** before clipping */
  readonly gradientNorm: number
  readonly metrics: Record<string, number>
}

/** Where checkpoints are kept, and after how many steps each; the end and an abort write one too. */
export type CheckpointOptions =
  { readonly path: string; readonly every: number } | { readonly store: CheckpointStore; readonly every: number }

export interface TrainOptions<Batch extends tf.TensorContainer> {
  /** the batch of a step; a pure function of its context, so that a resumed run sees the same; disposed after the step */
  readonly data: (context: StepContext) => Batch | Promise<Batch>
  /** the loss to differentiate; runs as in training, inside a `tf.tidy` */
  readonly loss: (batch: Batch, context: StepContext) => tf.Scalar | LossAndMetrics
  readonly optimizer: Optimizer
  /** in all, including those that a checkpoint has done */
  readonly steps: number
  /** called after every update; waited for */
  readonly onStep?: (report: StepReport) => void | Promise<void>
  /** `auto`: a bar on a terminal, else lines, on stderr; nothing in browsers. Default `auto` */
  readonly progress?: 'auto' | 'silent' | ((event: ProgressEvent) => void)
  /** where training goes on from, if something is there, and what it writes */
  readonly checkpoint?: CheckpointOptions | undefined
  /** ends training after the step under way */
  readonly signal?: AbortSignal | undefined
  /** whether Ctrl-C ends training like the signal; default: in Node, when there is a checkpoint */
  readonly handleInterrupt?: boolean
  /** step n draws from what n folds it into; default `key(0)` */
  readonly key?: Key
  /** greatest global norm of the gradients; default: none */
  readonly clip?: number
  /** updated after every step */
  readonly ema?: WeightEma
}

export interface TrainResult {
  /** steps done in all */
  readonly step: number
  readonly reason: 'finished' | 'aborted'
  /** steps that were done already when this run started */
  readonly resumedFrom: number
  /** of the last step in this run, if there was one */
  readonly last: StepReport | undefined
}

/**
 * Trains a module: gradients, guard against NaN, clipping, update, progress, checkpoints.
 *
 * A run that is stopped anywhere and started again with the same arguments ends in the same bits as one that was not.
 * @throws NonFiniteError when the loss or a gradient is NaN or infinite; that step is not taken
 * @throws RangeError when an option is out of range, or the checkpoint belongs to something else
 */
export async function train<Batch extends tf.TensorContainer>(
  module: Module,
  options: TrainOptions<Batch>,
): Promise<TrainResult> {
  const { optimizer, steps, onStep, progress = 'auto', checkpoint, signal, clip, ema } = options
  requireInteger('steps', steps, 0)
  if (checkpoint) requireInteger('checkpoint.every', checkpoint.every, 1)
  if (clip !== undefined) requireMaximum(clip)

  const state = { module, optimizer, ema }
  const store = checkpoint && storeOf(checkpoint)
  const resumedFrom = store ? await readCheckpoint(store, state) : 0
  let [step, saved] = [resumedFrom, resumedFrom]
  let last: StepReport | undefined
  let interrupted = false
  const stopped = (): boolean => interrupted || signal?.aborted === true

  const handleInterrupt = options.handleInterrupt ?? (store !== undefined && nodeProcess() !== undefined)
  const release = handleInterrupt ? onFirstInterrupt(() => (interrupted = true)) : () => {}
  const reporter = progressReporter(progress)
  const clock = new ProgressClock(steps, step)
  const pause = pauser()
  try {
    while (step < steps && !stopped()) {
      last = await trainStep(module, options, step)
      step += 1
      await onStep?.(last)
      await pause()
      reporter.step(clock.event(step, last.loss))
      if (store && step % checkpoint!.every === 0) {
        await writeCheckpoint(store, state, step)
        saved = step
      }
    }
    if (store && saved !== step) await writeCheckpoint(store, state, step)
  } finally {
    reporter.end()
    release()
  }
  return { step, reason: step < steps ? 'aborted' : 'finished', resumedFrom, last }
}

async function trainStep<Batch extends tf.TensorContainer>(
  module: Module,
  options: TrainOptions<Batch>,
  step: number,
): Promise<StepReport> {
  const { data, loss: lossOf, optimizer, key = makeKey(0), clip, ema } = options
  const [dataKey, lossKey] = key.fold(step).split(2) as [Key, Key]
  const batch = await data({ step, key: dataKey })
  const parameters = module.parameters()
  // The forward pass moves running statistics, which a bad step must not leave behind.
  const buffers = clonesOf(buffersOf(module))
  let results: tf.TensorContainer = []
  try {
    const { loss, metrics, gradients } = valueAndGradients(parameters, () =>
      withMetrics(lossOf(batch, { step, key: lossKey })),
    )
    results = { loss, metrics, gradients } as tf.TensorContainer
    const [lossValue, gradientNorm, ...metricValues] = await readScalars(loss, gradients, metrics)
    if (!Number.isFinite(lossValue) || !Number.isFinite(gradientNorm)) {
      throw new NonFiniteError(step, await firstNonFinite({ batch, parameters, buffers, metrics, loss, gradients }))
    }
    update(optimizer, parameters, gradients, clip === undefined ? 1 : clip / Math.max(clip, gradientNorm! + 1e-6))
    ema?.update()
    const names = Object.keys(metrics)
    return {
      step,
      loss: lossValue!,
      gradientNorm: gradientNorm!,
      metrics: Object.fromEntries(names.map((name, i) => [name, metricValues[i]!])),
    }
  } catch (error) {
    module.load({ ...module.state(), ...buffers })
    throw error
  } finally {
    tf.dispose(batch)
    tf.dispose(buffers)
    tf.dispose(results)
  }
}

/** One read for all the numbers of a step: each read waits for the device. */
async function readScalars(
  loss: tf.Scalar,
  gradients: Record<string, tf.Tensor>,
  metrics: Record<string, tf.Tensor>,
): Promise<number[]> {
  const scalars = tf.tidy(() => {
    const all = [loss, globalNorm(gradients), ...Object.values(metrics)]
    return tf.stack(all.map((scalar) => tf.cast(scalar, 'float32')))
  })
  try {
    return Array.from(await scalars.data<'float32'>())
  } finally {
    scalars.dispose()
  }
}

function update(
  optimizer: Optimizer,
  parameters: Record<string, tf.Variable>,
  gradients: Record<string, tf.Tensor>,
  scale: number,
): void {
  if (scale === 1) return optimizer.step(parameters, gradients)
  tf.tidy(() => {
    const clipped = Object.entries(gradients).map(([path, gradient]) => [path, tf.mul(gradient, scale)])
    optimizer.step(parameters, Object.fromEntries(clipped) as Record<string, tf.Tensor>)
  })
}

function withMetrics(result: tf.Scalar | LossAndMetrics): { loss: tf.Scalar; metrics: Record<string, tf.Scalar> } {
  const { loss, metrics = {} }: LossAndMetrics = 'loss' in result ? result : { loss: result }
  for (const [name, metric] of Object.entries(metrics))
    if (metric.rank !== 0)
      throw new RangeError(`metrics.${name}: expected a scalar, got shape ${describeShape(metric.shape)}`)
  return { loss, metrics }
}

function storeOf(checkpoint: CheckpointOptions): CheckpointStore {
  if ('store' in checkpoint) return checkpoint.store
  if (typeof checkpoint.path !== 'string')
    throw new TypeError(`checkpoint.path: expected a path, got ${describeValue(checkpoint.path)}`)
  return fileStore(checkpoint.path)
}

/** What the module remembers beside its parameters. */
function buffersOf(module: Module): Record<string, tf.Tensor> {
  const parameters = new Set<tf.Tensor>(Object.values(module.parameters()))
  return Object.fromEntries(Object.entries(module.state()).filter(([, tensor]) => !parameters.has(tensor)))
}

function clonesOf(tensors: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tf.clone(tensor)]))
}
