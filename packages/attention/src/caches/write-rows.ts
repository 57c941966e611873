import * as tf from '@tensorflow/tfjs-core'
import { elementsOf, hasElements } from './elements.ts'
import { copied } from './take-rows.ts'

/** Rows that follow one another, and where they go. */
export interface Run {
  /** index on the first axis of the new rows, and the first of them there */
  readonly sequence: number
  readonly from: number
  /** index on the first axis of the buffer, and the slot of the first row there */
  readonly place: number
  readonly slot: number
  readonly count: number
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

/** Whether a tensor's elements can be changed on the current backend: on cpu, wasm and webgpu. */
export function writesInPlace(): boolean {
  return hasElements() || tf.getBackend() === 'webgpu'
}

/**
 * Writes rows into a buffer: in place where the backend lets one, else into a copy.
 * @param buffer [places, heads, slots, width], whose elements no other tensor shares
 * @param rows of the same type, [B, heads, L, width]
 * @returns the buffer, or the copy
 */
export function writeRows(buffer: tf.Tensor4D, rows: tf.Tensor4D, runs: readonly Run[]): tf.Tensor4D {
  if (!writesInPlace()) return copyWithRows(buffer, rows, runs)
  const [, heads, slots, width] = buffer.shape
  const length = rows.shape[2]
  const copyRun = hasElements() ? elementRuns(buffer, rows) : webgpuRuns(buffer, rows)
  for (const { sequence, from, place, slot, count } of runs)
    for (let head = 0; head < heads; head++)
      copyRun(
        ((sequence * heads + head) * length + from) * width,
        ((place * heads + head) * slots + slot) * width,
        count * width,
      )
  return buffer
}

function elementRuns(buffer: tf.Tensor, rows: tf.Tensor): CopyRun {
  // In this order: making one of them readable may move the heap, not after both are there.
  for (const x of [buffer, rows]) elementsOf(x)
  const [to, from] = [elementsOf(buffer), elementsOf(rows)]
  return (first, place, count) => to.set(from.subarray(first, first + count), place)
}

/** Copies among the backend's own commands, which run in order with them. */
function webgpuRuns(buffer: tf.Tensor, rows: tf.Tensor): CopyRun {
  const backend = tf.backend() as unknown as WebgpuBackend
  for (const { dataId } of [buffer, rows]) backend.uploadToGPU(dataId)
  const [to, from] = [backend.tensorMap.get(buffer.dataId), backend.tensorMap.get(rows.dataId)]
  to.values = null // what a read left behind is out of date now
  backend.ensureCommandEncoderReady()
  backend.endComputePassEncoder()
  for (const { dataId } of [buffer, rows]) backend.commandQueueOwnedIds.add(dataId)
  return (first, place, count) =>
    backend.commandEncoder.copyBufferToBuffer(from.resource, 4 * first, to.resource, 4 * place, 4 * count)
}

/** A new buffer with the rows in it: all of the buffer is copied. */
function copyWithRows(buffer: tf.Tensor4D, rows: tf.Tensor4D, runs: readonly Run[]): tf.Tensor4D {
  const [, heads, slots, width] = buffer.shape
  const length = rows.shape[2]
  const moved = runs.flatMap(({ sequence, from, place, slot, count }) =>
    Array.from({ length: heads * count }, (_, i) => {
      const [head, row] = [Math.floor(i / count), i % count]
      return {
        from: (sequence * heads + head) * length + from + row,
        to: (place * heads + head) * slots + slot + row,
      }
    }),
  )
  if (moved.length === 0) return copied(buffer)
  return tf.tidy(() => {
    const taken = tf.gather(tf.reshape(rows, [-1, width]), tf.tensor1d(moved.map(({ from }) => from), 'int32')) // prettier-ignore
    const places = tf.tensor2d(moved.map(({ to }) => to), [moved.length, 1], 'int32') // prettier-ignore
    return tf.reshape(tf.tensorScatterUpdate(tf.reshape(buffer, [-1, width]), places, taken), buffer.shape)
  })
}
