import * as tf from '@tensorflow/tfjs-core'

/** The parts of tfjs-backend-wasm 4.22 that are used here. */
interface WasmBackend {
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array
}

/** The parts of tfjs-backend-webgpu 4.22 that are used here. */
interface WebgpuBackend {
  readonly tensorMap: { get(dataId: object): { resource: object; values: unknown } }
  /** tensors that commands not yet submitted use: their buffers must stay */
  readonly commandQueueOwnedIds: WeakSet<object>
  readonly commandEncoder: {
    copyBufferToBuffer(from: object, fromOffset: number, to: object, toOffset: number, size: number): void
  }
  endComputePassEncoder(): void
  ensureCommandEncoderReady(): void
  uploadToGPU(dataId: object): void
}

/** Puts a run of elements of one buffer into another. */
type CopyRun = (from: number, to: number, count: number) => void

/**
 * Writes tokens into a buffer in place, where the backend lets one write: cpu, wasm and webgpu.
 * @param buffer float32 [B, heads, capacity, width], whose elements no other tensor shares
 * @param tokens float32 [B, heads, L, width]
 * @param lengths where the tokens of each sequence go
 * @returns whether that was done
 */
export function writeTokens(buffer: tf.Tensor4D, tokens: tf.Tensor4D, lengths: readonly number[]): boolean {
  const copyRun = runsOf(tf.getBackend(), buffer, tokens)
  if (!copyRun) return false
  const [, heads, capacity, width] = buffer.shape
  const run = tokens.shape[2] * width
  lengths.forEach((length, sequence) => {
    for (let head = sequence * heads; head < (sequence + 1) * heads; head++)
      copyRun(head * run, (head * capacity + length) * width, run)
  })
  return true
}

function runsOf(backendName: string, buffer: tf.Tensor, tokens: tf.Tensor): CopyRun | null {
  if (backendName === 'webgpu') return webgpuRuns(tf.backend() as unknown as WebgpuBackend, buffer, tokens)
  if (backendName !== 'cpu' && backendName !== 'wasm') return null
  const elements = (x: tf.Tensor): Float32Array =>
    backendName === 'cpu'
      ? (x.dataSync() as Float32Array) // the backend's own array
      : (tf.backend() as unknown as WasmBackend).typedArrayFromHeap(x)
  // In this order: making one of them readable may move the heap, not after both are there.
  const [to, from] = [elements(buffer), elements(tokens)]
  return (first, place, count) => to.set(from.subarray(first, first + count), place)
}

/** Copies among the backend's own commands, which run in order with them. */
function webgpuRuns(backend: WebgpuBackend, buffer: tf.Tensor, tokens: tf.Tensor): CopyRun {
  for (const { dataId } of [buffer, tokens]) backend.uploadToGPU(dataId)
  const [to, from] = [backend.tensorMap.get(buffer.dataId), backend.tensorMap.get(tokens.dataId)]
  to.values = null // what a read left behind is out of date now
  backend.ensureCommandEncoderReady()
  backend.endComputePassEncoder()
  for (const { dataId } of [buffer, tokens]) backend.commandQueueOwnedIds.add(dataId)
  return (first, place, count) =>
    backend.commandEncoder.copyBufferToBuffer(from.resource, 4 * first, to.resource, 4 * place, 4 * count)
}

/**
 * A new buffer with the tokens in it, where none can be written in place, or another cache shares it: all of the buffer
 * is copied.
 */
export function copyWithTokens(buffer: tf.Tensor4D, tokens: tf.Tensor4D, lengths: readonly number[]): tf.Tensor4D {
  const [, heads, capacity, width] = buffer.shape
  const added = tokens.shape[2]
  return tf.tidy(() => {
    const sequences = lengths.map((length, at) => {
      const rest = length + added
      const part = (x: tf.Tensor4D, from: number, count: number): tf.Tensor4D =>
        tf.slice(x, [at, 0, from, 0], [1, heads, count, width])
      const parts = [part(buffer, 0, length), part(tokens, 0, added), part(buffer, rest, capacity - rest)]
      return tf.concat(parts.filter(({ size }) => size > 0), 2) // prettier-ignore
    })
    return copied(tf.concat(sequences, 0))
  })
}

/** A tensor that shares its elements with no other: a slice of everything, or a concatenation of one, may share them. */
export function copied(x: tf.Tensor4D): tf.Tensor4D {
  return tf.add(x, 0)
}
