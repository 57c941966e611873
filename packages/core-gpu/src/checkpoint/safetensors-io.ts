import type * as tf from '@tensorflow/tfjs-core'
import { describeValue } from '../validation/validation.ts'
import { fileSystem, nodeModule, writeFileAtomic } from './files.ts'
import {
  decodeSafetensors,
  type EncodeSafetensorsOptions,
  type Safetensors,
  safetensorsChunks,
  tensorOf,
} from './safetensors.ts'
import { fault, LENGTH_BYTES, readHeader, readHeaderLength } from './safetensors-header.ts'

/** Where safetensors can be read from; a string is a path, or an address when it starts with `http`. */
export type SafetensorsSource = string | URL | Uint8Array | ArrayBuffer | ReadableStream<Uint8Array> | Blob

/** Any part of a file can be read from it. */
interface Parts {
  readonly size: number
  read(begin: number, end: number): Promise<Uint8Array>
}

/**
 * Writes tensors in the safetensors format, one at a time, so that the file is never whole in memory.
 *
 * A path is written atomically: whatever happens, the old or the new file is there whole. A stream is closed at the
 * end, and aborted on failure.
 * @param target path or stream
 * @throws RangeError when a tensor cannot be written in the type asked for
 */
export async function saveSafetensors(
  target: string | WritableStream<Uint8Array>,
  state: Record<string, tf.Tensor>,
  options: EncodeSafetensorsOptions = {},
): Promise<void> {
  const chunks = safetensorsChunks(state, options)
  if (typeof target === 'string') return writeFileAtomic(target, chunks)
  if (!(target instanceof WritableStream))
    throw new TypeError(`target: expected a path or a WritableStream, got ${describeValue(target)}`)
  const writer = target.getWriter()
  try {
    for await (const chunk of chunks) await writer.write(chunk)
    await writer.close()
  } catch (error) {
    await writer.abort(error)
    throw error
  } finally {
    writer.releaseLock()
  }
}

/**
 * Reads tensors in the safetensors format; files and blobs one tensor at a time.
 * @throws RangeError when the bytes are malformed, naming the entry at fault
 * @throws Error when the source cannot be read
 */
export async function loadSafetensors(source: SafetensorsSource): Promise<Safetensors> {
  if (source instanceof Uint8Array) return decodeSafetensors(source)
  if (source instanceof ArrayBuffer) return decodeSafetensors(new Uint8Array(source))
  if (source instanceof Blob) return readParts(blobParts(source))
  if (source instanceof ReadableStream) return decodeSafetensors(await collect(source))
  if (typeof source !== 'string' && !(source instanceof URL))
    throw new TypeError(`source: expected a path, URL, bytes, stream or blob, got ${describeValue(source)}`)
  const path = pathOf(source)
  return path === undefined ? decodeSafetensors(await download(source)) : readFile(path)
}

/** undefined for what is to be fetched */
function pathOf(source: string | URL): string | undefined {
  if (typeof source === 'string') return nodeModule('fs') && !/^https?:/.test(source) ? source : undefined
  return source.protocol === 'file:' ? nodeModule('url')?.fileURLToPath(source) : undefined
}

async function download(source: string | URL): Promise<Uint8Array> {
  const response = await fetch(source)
  if (!response.ok) throw new Error(`source: ${String(source)} answered ${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer())
}

async function readFile(path: string): Promise<Safetensors> {
  const file = await fileSystem().fs.open(path, 'r')
  try {
    const { size } = await file.stat()
    return await readParts({
      size,
      async read(begin, end) {
        const bytes = new Uint8Array(end - begin)
        for (let at = 0; at < bytes.length;) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, begin + at)
          if (bytesRead === 0) throw fault(`truncated: the file ends at byte ${begin + at}`)
          at += bytesRead
        }
        return bytes
      },
    })
  } finally {
    await file.close()
  }
}

function blobParts(blob: Blob): Parts {
  return { size: blob.size, read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()) }
}

async function readParts(parts: Parts): Promise<Safetensors> {
  const length = await parts.read(0, Math.min(LENGTH_BYTES, parts.size))
  const dataBegin = LENGTH_BYTES + readHeaderLength(length, parts.size)
  const { entries, metadata } = readHeader(await parts.read(LENGTH_BYTES, dataBegin), parts.size - dataBegin)
  const tensors: [string, tf.Tensor][] = []
  try {
    for (const entry of entries) {
      const bytes = await parts.read(dataBegin + entry.begin, dataBegin + entry.end)
      tensors.push([entry.name, tensorOf(entry, bytes)])
    }
  } catch (error) {
    for (const [, tensor] of tensors) tensor.dispose()
    throw error
  }
  return { tensors: Object.fromEntries(tensors), metadata }
}
