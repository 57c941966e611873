import * as tf from '@tensorflow/tfjs-core'
import { describeValue } from '@x/core-gpu'
import { type FileSource, inFolder, openFile, readText } from './file-parts.ts'
import { safetensorsFile } from './safetensors-file.ts'
import { joinSources, type TensorSource } from './tensor-source.ts'

/**
 * Where weights come from: a folder (path or URL) that has `model.safetensors` or `model.safetensors.index.json`; such a
 * file; several files; or tensors by name.
 */
export type WeightsSource = FileSource | readonly FileSource[] | Readonly<Record<string, tf.Tensor>>

const SINGLE = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'

/**
 * Opens a checkpoint: its names and shapes are read, its tensors when they are asked for.
 * @throws TypeError when that is no source
 * @throws RangeError naming what is malformed
 * @throws Error when something cannot be read
 */
export async function openCheckpoint(source: WeightsSource): Promise<TensorSource> {
  if (Array.isArray(source))
    return joinSources(
      await Promise.all((source as readonly FileSource[]).map((file, i) => openOne(file, `file ${i}`))),
    )
  if (typeof source === 'string' || source instanceof URL) return openPlace(source)
  if (isFile(source)) return openOne(source, 'it')
  if (typeof source !== 'object' || source === null)
    throw new TypeError(`source: expected a path, URL, bytes, blob or tensors, got ${describeValue(source)}`)
  return tensorsOf(source as Readonly<Record<string, tf.Tensor>>)
}

function isFile(source: unknown): source is Uint8Array | ArrayBuffer | Blob {
  return source instanceof Uint8Array || source instanceof ArrayBuffer || source instanceof Blob
}

async function openOne(source: FileSource, name: string): Promise<TensorSource> {
  const named = typeof source === 'string' || source instanceof URL ? String(source) : name
  return safetensorsFile(await openFile(source), named)
}

async function openPlace(place: string | URL): Promise<TensorSource> {
  const text = String(place)
  if (text.endsWith('.safetensors')) return openOne(place, text)
  if (text.endsWith('.index.json')) {
    const index = await readText(place)
    if (index === null) throw new Error(`source: there is no ${text}`)
    const folder = place instanceof URL ? new URL('.', place) : text.replace(/[^/\\]*$/, '') || '.'
    return openShards(folder, index)
  }
  const index = await readText(inFolder(place, INDEX))
  return index === null ? openOne(inFolder(place, SINGLE), SINGLE) : openShards(place, index)
}

async function openShards(folder: string | URL, index: string): Promise<TensorSource> {
  const files = shardsOf(index)
  const names = [...new Set(files.values())]
  const shards = await Promise.all(names.map((name) => openOne(inFolder(folder, name), name)))
  for (const [name, file] of files)
    if (!shards[names.indexOf(file)]!.entries.has(name))
      throw new RangeError(`source: the index has "${name}" in ${file}, which is not there`)
  return joinSources(shards)
}

/** Files by the names of their tensors. */
function shardsOf(index: string): Map<string, string> {
  let read: unknown
  try {
    read = JSON.parse(index)
  } catch (error) {
    throw new RangeError(`source: its index is no JSON (${(error as Error).message})`, { cause: error })
  }
  const map = (read as { weight_map?: unknown } | null)?.weight_map
  if (typeof map !== 'object' || map === null)
    throw new RangeError(`source: its index has no weight_map, but ${describeValue(map)}`)
  for (const [name, file] of Object.entries(map))
    // Nothing outside the folder is read.
    if (typeof file !== 'string' || !/^[\w.-]+\.safetensors$/.test(file))
      throw new RangeError(`source: its index has "${name}" in no file of the folder, but in ${describeValue(file)}`)
  return new Map(Object.entries(map as Record<string, string>))
}

function tensorsOf(tensors: Readonly<Record<string, tf.Tensor>>): TensorSource {
  const wrong = Object.entries(tensors).find(([, tensor]) => !(tensor instanceof tf.Tensor))
  if (wrong) throw new TypeError(`source: expected tensors by name, got ${describeValue(wrong[1])} at "${wrong[0]}"`)
  return {
    entries: new Map(Object.entries(tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    read: async (name) => tf.clone(tensors[name]!),
  }
}
