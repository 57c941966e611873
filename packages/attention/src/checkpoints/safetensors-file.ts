import * as tf from '@tensorflow/tfjs-core'
import { decodeSafetensors, describeShape, describeValue } from '@x/core-gpu'
import { e4m3 } from '../storages/bytes/byte-format.ts'
import type { FileParts } from './file-parts.ts'
import type { TensorEntry, TensorSource } from './tensor-source.ts'

// Bytes of a number; what the core reads, and float8.
const widths: Readonly<Record<string, number>> = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
}
const LENGTH_BYTES = 8
const HEADER_LIMIT = 100_000_000

interface Placed extends TensorEntry {
  /** in bytes from the end of the header */
  readonly begin: number
  readonly end: number
}

/**
 * A safetensors file of which each tensor is read when it is asked for; it may hold float8 E4M3 too.
 * @param name of the file, for errors
 * @throws RangeError when the file is malformed, naming the entry at fault
 */
export async function safetensorsFile(parts: FileParts, name: string): Promise<TensorSource> {
  const fault = (message: string): RangeError =>
    new RangeError(`source: ${name} is no valid safetensors file: ${message}`)
  if (parts.size < LENGTH_BYTES) throw fault(`expected at least ${LENGTH_BYTES} bytes, got ${parts.size}`)
  const prefix = await parts.read(0, LENGTH_BYTES)
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true))
  if (length > HEADER_LIMIT)
    throw fault(`the header is said to be ${length} bytes long, at most ${HEADER_LIMIT} are allowed`)
  const start = LENGTH_BYTES + length
  if (start > parts.size) throw fault(`truncated: the header should end at byte ${start} of ${parts.size}`)
  const entries = readEntries(await parts.read(LENGTH_BYTES, start), parts.size - start, fault)
  return {
    entries,
    async read(wanted) {
      const { dtype, shape, begin, end } = entries.get(wanted)!
      const bytes = await parts.read(start + begin, start + end)
      if (dtype === 'F8_E4M3')
        return tf.tensor(
          Float32Array.from(bytes, (byte) => e4m3.values[byte]!),
          [...shape],
        )
      return decodeSafetensors(alone(wanted, dtype, shape, bytes)).tensors[wanted]!
    },
  }
}

function readEntries(json: Uint8Array, dataSize: number, fault: (message: string) => RangeError): Map<string, Placed> {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (error) {
    throw fault(`the header is no JSON (${(error as Error).message})`)
  }
  if (typeof header !== 'object' || header === null)
    throw fault(`the header is ${describeValue(header)}, not an object`)
  const found = Object.entries(header as Record<string, Record<string, unknown> | null>)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]): [string, Placed] => {
      const { dtype, shape, data_offsets: offsets } = entry ?? {}
      if (typeof dtype !== 'string' || !Object.hasOwn(widths, dtype))
        throw fault(
          `entry "${name}" has the unknown dtype ${describeValue(dtype)}; known are ${Object.keys(widths).join(', ')}`,
        )
      if (!isSizes(shape)) throw fault(`entry "${name}" has no valid shape: ${JSON.stringify(shape)}`)
      if (!isSizes(offsets) || offsets.length !== 2)
        throw fault(`entry "${name}" has no valid data_offsets: ${JSON.stringify(offsets)}`)
      const [begin, end] = offsets as [number, number]
      const wanted = shape.reduce((product, size) => product * size, widths[dtype]!)
      if (end - begin !== wanted)
        throw fault(`entry "${name}" spans ${end - begin} bytes, but ${dtype} ${describeShape(shape)} takes ${wanted}`)
      return [name, { dtype, shape, begin, end }]
    })
  let reached = 0
  for (const [name, { begin, end }] of found.toSorted(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== reached) throw fault(`entry "${name}" begins at ${begin}, expected ${reached}`)
    reached = end
  }
  if (reached !== dataSize) throw fault(`its entries take ${reached} bytes, but ${dataSize} follow the header`)
  return new Map(found)
}

/** A file of one tensor. */
function alone(name: string, dtype: string, shape: readonly number[], bytes: Uint8Array): Uint8Array {
  const entry = { [name]: { dtype, shape, data_offsets: [0, bytes.byteLength] } }
  const json = new TextEncoder().encode(JSON.stringify(entry))
  const file = new Uint8Array(LENGTH_BYTES + json.length + bytes.byteLength)
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true)
  file.set(json, LENGTH_BYTES)
  file.set(bytes, LENGTH_BYTES + json.length)
  return file
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
}
