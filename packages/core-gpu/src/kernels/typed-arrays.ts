import * as tf from '@tensorflow/tfjs-core'

/** The elements of a tensor, on a backend that can read at once (cpu, wasm). */
export function values(backend: tf.KernelBackend, x: tf.TensorInfo): Float32Array | Int32Array {
  return backend.readSync(x.dataId) as Float32Array | Int32Array
}

/** Hands elements over to a backend as a kernel's result. */
export function makeOutput(
  backend: tf.KernelBackend,
  shape: number[],
  dtype: tf.DataType,
  elements: Float32Array | Int32Array,
): tf.TensorInfo {
  return { dataId: backend.write(elements, shape, dtype), shape, dtype }
}
