import * as tf from '@tensorflow/tfjs-core'
import { numberTypes, type SafetensorsType } from './number-types.ts'
import {
  fault,
  LENGTH_BYTES,
  readHeader,
  readHeaderLength,
  type SafetensorsEntry,
  writeHeader,
} from './safetensors-header.ts'

/** Tensors by name, and what else the file says. */
export interface Safetensors {
  /** the caller's to dispose */
  readonly tensors: Record<string, tf.Tensor>
  readonly metadata: Record<string, string>
}

export interface EncodeSafetensorsOptions {
  /** strings to keep beside the tensors */
  readonly metadata?: Record<string, string>
  /** the number type of one tensor; default: F32, I32 or BOOL after the tensor's own */
  readonly dtype?: (name: string, tensor: tf.Tensor) => SafetensorsType | undefined
}

/**
 * Writes tensors in the safetensors format, as PyTorch's tools read it.
 *
 * F16 and BF16 are rounded to nearest, ties to even.
 * @throws RangeError when a tensor cannot be written in the type asked for, or holds a value out of its range
 */
export async function encodeSafetensors(
  state: Record<string, tf.Tensor>,
  options: EncodeSafetensorsOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  for await (const chunk of safetensorsChunks(state, options)) chunks.push(chunk)
  return joined(chunks)
}

/**
 * Reads tensors in the safetensors format.
 *
 * F64, F16 and BF16 become float32; whole numbers become int32.
 * @throws RangeError when the bytes are malformed, naming the entry at fault
 */
export function decodeSafetensors(bytes: Uint8Array): Safetensors {
  const headerEnd = LENGTH_BYTES + readHeaderLength(bytes, bytes.byteLength)
  const { entries, metadata } = readHeader(bytes.subarray(LENGTH_BYTES, headerEnd), bytes.byteLength - headerEnd)
  const data = bytes.subarray(headerEnd)
  const tensors: [string, tf.Tensor][] = []
  try {
    for (const entry of entries) tensors.push([entry.name, tensorOf(entry, data.slice(entry.begin, entry.end))])
  } catch (error) {
    for (const [, tensor] of tensors) tensor.dispose()
    throw error
  }
  return { tensors: Object.fromEntries(tensors), metadata }
}

/** The file in pieces: its header, then one tensor at a time. */
export async function* safetensorsChunks(
  state: Record<string, tf.Tensor>,
  options: EncodeSafetensorsOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const entries = layOut(state, options.dtype)
  yield writeHeader({ entries, metadata: options.metadata ?? {} })
  for (const { name, dtype } of entries) {
    const values = (await state[name]!.data()) as Float32Array | Int32Array | Uint8Array
    yield named(name, 'state', () => numberTypes[dtype].encode(values))
  }
}

/**
 * Makes the tensor of an entry.
 * @param bytes starts at offset 0 of its own buffer; the tensor may keep it
 */
export function tensorOf(entry: SafetensorsEntry, bytes: Uint8Array): tf.Tensor {
  const { name, dtype, shape } = entry
  // A slice of a Node Buffer or of a view shares its buffer: only a copy starts at 0 and is aligned.
  const own = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
  return named(name, 'source', () => {
    const type = numberTypes[dtype]
    return tf.tensor(type.decode(own as Uint8Array<ArrayBuffer>), shape, type.dtype)
  })
}

/** Largest number types first, so that every tensor is aligned; then by name. */
function layOut(state: Record<string, tf.Tensor>, dtype: EncodeSafetensorsOptions['dtype']): SafetensorsEntry[] {
  const types = Object.entries(state).map(([name, tensor]) => [name, tensor, typeOf(name, tensor, dtype)] as const)
  types.sort(([a, , s], [b, , t]) => numberTypes[t].bytes - numberTypes[s].bytes || (a < b ? -1 : 1))
  let reached = 0
  return types.map(([name, tensor, type]) => {
    const begin = reached
    reached += tensor.size * numberTypes[type].bytes
    return { name, dtype: type, shape: tensor.shape, begin, end: reached }
  })
}

function typeOf(name: string, tensor: tf.Tensor, choose: EncodeSafetensorsOptions['dtype']): SafetensorsType {
  if (name === '__metadata__') throw new RangeError('state: "__metadata__" cannot be the name of a tensor')
  const own: Partial<Record<tf.DataType, SafetensorsType>> = { float32: 'F32', int32: 'I32', bool: 'BOOL' }
  const type = choose?.(name, tensor) ?? own[tensor.dtype]
  if (type === undefined)
    throw new RangeError(`state: entry "${name}" is ${tensor.dtype}, which the format has no type for`)
  if (!Object.hasOwn(numberTypes, type))
    throw new RangeError(
      `dtype: unknown type ${String(type)} for entry "${name}"; known are ${Object.keys(numberTypes).join(', ')}`,
    )
  if (!numberTypes[type].from.includes(tensor.dtype))
    throw new RangeError(`dtype: entry "${name}" is ${tensor.dtype} and cannot be written as ${type}`)
  return type
}

/** Puts an entry's name in front of what is wrong with its values. */
function named<T>(name: string, argument: 'state' | 'source', make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    const message = `entry "${name}": ${error.message}`
    throw argument === 'source' ? fault(message) : new RangeError(`${argument}: ${message}`)
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}
