import * as tf from '@tensorflow/tfjs-core'
import { describeShape, requireInteger } from '@x/core-gpu'
import type { Decoder } from '../decoder/decoder.ts'
import { checkpointNames } from './checkpoint-names.ts'
import { openCheckpoint, type WeightsSource } from './open-checkpoint.ts'
import type { TensorSource } from './tensor-source.ts'

export interface LoadWeightsOptions {
  /** rows and columns of a weight in float8 that share a scale; default [128, 128] */
  readonly blockSize?: readonly [rows: number, columns: number]
  /** told after each tensor */
  readonly onProgress?: (progress: { readonly name: string; readonly done: number; readonly total: number }) => void
  /** ends the loading, with some tensors loaded and some not */
  readonly signal?: AbortSignal
}

export interface LoadedWeights {
  /** names that were left out, since a decoder has no part for them: tables of angles, a head that is tied, layers that predict further tokens */
  readonly ignored: readonly string[]
}

const SCALE = '_scale_inv'

/**
 * Loads a checkpoint in Hugging Face's names into a decoder, tensor by tensor: float32, float16, bfloat16, or float8 with
 * a scale for each block.
 *
 * Names and shapes are checked before the first tensor is read.
 * @throws RangeError with all names that are missing, unexpected or of another shape
 * @throws TypeError when the model has parts that no such checkpoint has
 * @throws Error when the source cannot be read
 */
export async function loadWeights(
  model: Decoder,
  source: WeightsSource,
  { blockSize = [128, 128], onProgress, signal }: LoadWeightsOptions = {},
): Promise<LoadedWeights> {
  for (const [i, size] of blockSize.entries()) requireInteger(`blockSize[${i}]`, size, 1)
  const names = checkpointNames(model)
  const checkpoint = await openCheckpoint(source)
  const state = model.state()
  const ignored = requireFitting(model, names, checkpoint, blockSize)
  let done = 0
  for (const [own, theirs] of names) {
    signal?.throwIfAborted()
    const read = await readScaled(checkpoint, theirs, blockSize)
    const variable = state[own] as tf.Variable
    const value = tf.cast(read, variable.dtype)
    variable.assign(value)
    tf.dispose([read, value])
    onProgress?.({ name: theirs, done: ++done, total: names.size })
  }
  return { ignored }
}

/**
 * A decoder's tensors in Hugging Face's names; for `saveSafetensors(path, tensors, { metadata: { format: 'pt' } })`.
 * @returns the live tensors, not copies
 * @throws TypeError when the model has parts that no such checkpoint has
 */
export function exportWeights(model: Decoder): Record<string, tf.Tensor> {
  const state = model.state()
  return Object.fromEntries(Array.from(checkpointNames(model), ([own, theirs]) => [theirs, state[own]!]))
}

/** @returns names that are there and not wanted, for a reason */
function requireFitting(
  model: Decoder,
  names: ReadonlyMap<string, string>,
  { entries }: TensorSource,
  [rows, columns]: readonly [number, number],
): string[] {
  const state = model.state()
  const missing: string[] = []
  const misshapen: string[] = []
  const known = new Set<string>()
  const requireShape = (name: string, wanted: readonly number[]): void => {
    const entry = entries.get(name)
    known.add(name)
    if (!entry) missing.push(name)
    else if (!tf.util.arraysEqual([...entry.shape], [...wanted]))
      misshapen.push(`${name} ${describeShape(entry.shape)}, expected ${describeShape(wanted)}`)
  }
  for (const [own, name] of names) {
    const { shape } = state[own]!
    requireShape(name, shape)
    if (entries.get(name)?.dtype === 'F8_E4M3')
      requireShape(`${name}${SCALE}`, [Math.ceil(shape[0]! / rows), Math.ceil((shape[1] ?? 1) / columns)])
  }
  const others = [...entries.keys()].filter((name) => !known.has(name))
  const ignored = others.filter((name) => isNeedless(model, name, entries))
  const unexpected = others.filter((name) => !ignored.includes(name))
  const faults = Object.entries({ missing, unexpected, misshapen })
    .filter(([, found]) => found.length > 0)
    .map(([what, found]) => `${found.length} ${what} (${found.join('; ')})`)
  if (faults.length > 0) throw new RangeError(`source: does not fit the model: ${faults.join(', ')}`)
  return ignored
}

/** Whether a decoder can do without: what can be computed, and what it never had. */
function isNeedless(model: Decoder, name: string, entries: TensorSource['entries']): boolean {
  if (name.endsWith('.rotary_emb.inv_freq')) return true
  if (name === 'lm_head.weight') return model.head === null
  const [, layer] = /^model\.layers\.(\d+)\./.exec(name) ?? []
  if (layer === undefined || Number(layer) < model.blocks.length) return false
  // A layer that predicts a token further on joins two vectors by this. arXiv 2412.19437
  return entries.has(`model.layers.${layer}.eh_proj.weight`)
}

async function readScaled(
  source: TensorSource,
  name: string,
  [rows, columns]: readonly [number, number],
): Promise<tf.Tensor> {
  const values = await source.read(name)
  if (source.entries.get(name)!.dtype !== 'F8_E4M3') return values
  const scales = await source.read(`${name}${SCALE}`)
  const scaled = tf.tidy(() => {
    const [down, across] = scales.shape as [number, number]
    const each = tf.tile(tf.reshape(scales, [down, 1, across, 1]), [1, rows, 1, columns])
    const wide = tf.reshape(each, [down * rows, across * columns])
    return tf.mul(values, tf.slice(wide, [0, 0], values.shape as [number, number]))
  })
  tf.dispose([values, scales])
  return scaled
}
