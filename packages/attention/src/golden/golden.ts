import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import { expectGolden, type GoldenTensor, goldenValues, type Tolerance } from '@x/core-gpu/testing'

/** A number, or what JSON has no number for. */
type Recorded = number | 'inf' | '-inf' | 'nan'

/** A tensor as recorded: its values, or the formula they come from. */
export type RecordedTensor =
  | { readonly shape: readonly number[]; readonly values: readonly Recorded[] }
  | {
      readonly shape: readonly number[]
      readonly formula: 'chirp'
      readonly k: number
      /** default 1 */
      readonly amp?: number
      /** default 0 */
      readonly offset?: number
    }

/** One case computed by a PyTorch reference in double precision. */
export interface GoldenRecord {
  readonly id: string
  readonly group: string
  readonly config: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, RecordedTensor>>
  readonly expected: Readonly<Record<string, RecordedTensor>>
  /** e of |a - b| <= e (1 + |b|) */
  readonly tolerance: { readonly f64: number; readonly f32: number } | 'exact'
}

const file = new URL('./attention.json', import.meta.url)
const { records } = JSON.parse(readFileSync(file, 'utf8')) as { records: GoldenRecord[] }

/** The recorded cases of one group; a group without any is a mistake. */
export function goldenRecords(group: string, keep: (record: GoldenRecord) => boolean = () => true): GoldenRecord[] {
  const found = records.filter((record) => record.group === group && keep(record))
  if (found.length === 0) throw new RangeError(`group: no golden record in group "${group}"`)
  return found
}

/** The case of one id. */
export function goldenRecord(id: string): GoldenRecord {
  const found = records.find((record) => record.id === id)
  if (!found) throw new RangeError(`id: no golden record "${id}"`)
  return found
}

/** As the core's helpers take it: what is called a chirp here is called a sweep there. */
function toGolden(recorded: RecordedTensor): GoldenTensor {
  if ('formula' in recorded) return { ...recorded, formula: 'sweep' }
  return recorded as GoldenTensor
}

/** The numbers of a recorded tensor, in double precision. */
export function recordedValues(recorded: RecordedTensor): Float64Array {
  return goldenValues(toGolden(recorded))
}

/** A recorded tensor on the current backend; the caller disposes it. */
export function recordedTensor<R extends tf.Rank = tf.Rank>(recorded: RecordedTensor): tf.Tensor<R> {
  return tf.tensor(Float32Array.from(recordedValues(recorded)), [...recorded.shape] as tf.ShapeMap[R])
}

/** The bound for float32; five times it on WebGPU, whose functions are less exact. */
function toleranceOf({ tolerance }: GoldenRecord): Tolerance {
  if (tolerance === 'exact') return { abs: 0, rel: 0 }
  const e = tolerance.f32 * (tf.getBackend() === 'webgpu' ? 5 : 1)
  return { abs: e, rel: e }
}

/** Compares a tensor with what a record expects under a name. */
export async function expectRecorded(record: GoldenRecord, name: string, got: tf.Tensor): Promise<void> {
  const expected = record.expected[name]
  if (!expected) throw new RangeError(`name: record "${record.id}" expects no "${name}"`)
  await expectGolden(name, got, toGolden(expected), toleranceOf(record))
}
