import * as tf from '@tensorflow/tfjs-core'
import { readFileIfThere, writeFileAtomic } from '../checkpoint/files.ts'
import { decodeSafetensors, encodeSafetensors } from '../checkpoint/safetensors.ts'
import type { Module } from '../module/module.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { WeightEma } from '../optim/weight-ema.ts'
import { requireInteger } from '../validation/validation.ts'

/** A place for one checkpoint. */
export interface CheckpointStore {
  /** @returns the last checkpoint, or null when there is none yet */
  read(): Promise<Uint8Array | null>
  /** Replaces the checkpoint; must leave the last one whole when it fails. */
  write(bytes: Uint8Array): Promise<void>
}

/** Everything that training changes. */
export interface TrainingState {
  readonly module: Module
  readonly optimizer: Optimizer
  readonly ema: WeightEma | undefined
}

/** A checkpoint in a file, replaced atomically. */
export function fileStore(path: string): CheckpointStore {
  return { read: () => readFileIfThere(path), write: (bytes) => writeFileAtomic(path, bytes) }
}

/** Saves a state under `module.`, `optimizer.` and `ema.`, with the number of steps done in the metadata. */
export async function writeCheckpoint(store: CheckpointStore, state: TrainingState, step: number): Promise<void> {
  const { module, optimizer, ema } = state
  const parts = {
    ...prefixed('module', module.state()),
    ...prefixed('optimizer', optimizer.state()),
    ...(ema ? prefixed('ema', ema.state()) : {}),
  }
  await store.write(await encodeSafetensors(parts, { metadata: { format: FORMAT, step: String(step) } }))
}

/**
 * Takes the last checkpoint over.
 * @returns the number of steps it had done; 0 when there is no checkpoint
 * @throws RangeError when it belongs to something else
 */
export async function readCheckpoint(store: CheckpointStore, state: TrainingState): Promise<number> {
  const bytes = await store.read()
  if (bytes === null) return 0
  const { tensors, metadata } = decodeSafetensors(bytes)
  try {
    if (metadata.format !== FORMAT)
      throw new RangeError(`checkpoint: expected one written by train (${FORMAT}), got format ${metadata.format}`)
    const step = Number(metadata.step)
    requireInteger('checkpoint.step', step, 0)
    const ema = under('ema', tensors)
    if (state.ema === undefined && Object.keys(ema).length > 0)
      throw new RangeError('checkpoint: it holds averaged weights, but no ema was given')
    state.module.load(under('module', tensors))
    state.optimizer.load(under('optimizer', tensors))
    state.ema?.load(ema)
    return step
  } finally {
    tf.dispose(tensors)
  }
}

const FORMAT = 'training-1'

function prefixed(part: string, state: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [`${part}.${name}`, tensor]))
}

function under(part: string, tensors: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  const inside = Object.entries(tensors).filter(([name]) => name.startsWith(`${part}.`))
  return Object.fromEntries(inside.map(([name, tensor]) => [name.slice(part.length + 1), tensor]))
}
