import * as v from 'valibot'
import { isNode } from './runtime.ts'

/** Which TensorFlow: for the processor, or with CUDA. */
export type TensorFlowVariant = 'tensorflow' | 'tensorflow-gpu'

const recordSchema = v.object({
  variant: v.picklist(['tensorflow', 'tensorflow-gpu']),
  /** TensorFlow's version */
  tensorflow: v.string(),
  /** the wheel's file name, or the folder of the installed TensorFlow that is used in place */
  source: v.string(),
  /** of the wheel; null for an installed TensorFlow */
  sha256: v.nullable(v.string()),
  /** version of the package whose binding was compiled */
  tfjsNode: v.string(),
  /** version of our own operations in the binding, `nativeKernels` */
  kernels: v.number(),
  /** where the result lies */
  folder: v.string(),
  platform: v.string(),
  arch: v.string(),
  compiler: v.string(),
  /** the Node that the result was tried in; the binding itself is for any Node with `nodeApi` */
  node: v.string(),
  nodeApi: v.number(),
  date: v.string(),
})

/** What `x-core setup-tensorflow` built, where, and from what. */
export type TensorFlowRecord = v.InferOutput<typeof recordSchema>

/** This user's folder for what is built here: in `$XDG_CACHE_HOME`, else in the home folder. */
export function cacheFolder(): string {
  const { homedir } = process.getBuiltinModule('node:os')
  const { join } = process.getBuiltinModule('node:path')
  const usual = process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache')
  return join(process.env['XDG_CACHE_HOME'] || usual, 'x-core')
}

/** The file in which the record of a variant is kept. */
export function recordFile(variant: TensorFlowVariant): string {
  const { join } = process.getBuiltinModule('node:path')
  return join(cacheFolder(), `${variant}.json`)
}

/**
 * The record of what was built for this machine; undefined where nothing was.
 * @throws Error when there is a record that is of no use here
 */
export function readRecord(variant: TensorFlowVariant): TensorFlowRecord | undefined {
  if (!isNode) return undefined
  const { existsSync, readFileSync } = process.getBuiltinModule('node:fs')
  const file = recordFile(variant)
  if (!existsSync(file)) return undefined
  const record = parseRecord(readFileSync(file, 'utf8'))
  if (record === undefined) throw new Error(`${file} is no record of a TensorFlow setup`)
  if (record.platform !== process.platform || record.arch !== process.arch)
    throw new Error(`${file} is for ${record.platform} ${record.arch}, and this is ${process.platform} ${process.arch}`)
  if (!existsSync(record.folder)) throw new Error(`${record.folder}, which ${file} names, is gone`)
  return record
}

function parseRecord(text: string): TensorFlowRecord | undefined {
  try {
    return v.parse(recordSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}
