import * as tf from '@tensorflow/tfjs-core'

/** The parts of tfjs-backend-wasm 4.22 that are used here. */
interface WasmBackend {
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array | Int32Array
}

/** Whether `elementsOf` gives a tensor's own elements, so that writing them changes it. */
export function hasElements(): boolean {
  return tf.getBackend() === 'cpu' || tf.getBackend() === 'wasm'
}

/**
 * The elements of a tensor, on a backend that can be read without waiting: its own ones on cpu and wasm, else a copy.
 *
 * On wasm they are good until the next tensor is made, which may move the heap.
 */
export function elementsOf(x: tf.Tensor): Float32Array | Int32Array {
  if (tf.getBackend() !== 'wasm') return x.dataSync() as Float32Array | Int32Array
  return (tf.backend() as unknown as WasmBackend).typedArrayFromHeap(x)
}
