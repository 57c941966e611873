import * as tf from '@tensorflow/tfjs-core'

// What each backend had before ours, so that switching between own and stock kernels can go back and forth.
const replaced = new Map<string, Map<string, tf.KernelConfig | null>>()

/** A kernel for one backend; its inputs are tensors, as every operation passes them. */
export type Kernel = (
  inputs: Record<string, tf.Tensor>,
  attributes: Record<string, unknown>,
  backend: tf.KernelBackend,
) => tf.TensorInfo | tf.TensorInfo[]

/**
 * Registers a kernel in the place of what the backend has under that name, until `restoreKernels`.
 * @param dispose what to do when the backend is removed
 */
export function replaceKernel(
  backendName: string,
  kernelName: string,
  kernel: Kernel,
  dispose?: (backend: tf.KernelBackend) => void,
): void {
  const previous = tf.getKernel(kernelName, backendName) ?? null
  let saved = replaced.get(backendName)
  if (!saved) replaced.set(backendName, (saved = new Map()))
  if (!saved.has(kernelName)) saved.set(kernelName, previous)
  if (previous) tf.unregisterKernel(kernelName, backendName)
  const stock = saved.get(kernelName)
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      kernel(
        inputs as Record<string, tf.Tensor>,
        (attrs ?? {}) as Record<string, unknown>,
        backend as tf.KernelBackend,
      ),
    // Own kernels hand some cases back to the stock one, which must be set up with each new backend.
    ...(stock?.setupFunc && { setupFunc: stock.setupFunc }),
    ...(dispose && { disposeFunc: (backend) => dispose(backend as tf.KernelBackend) }),
  })
}

/** Registers a kernel made of plain operations; what they make besides the result is disposed. */
export function replaceWithOperations(
  backendName: string,
  kernelName: string,
  operations: (inputs: Record<string, tf.Tensor>, attributes: Record<string, unknown>) => tf.Tensor,
): void {
  replaceKernel(backendName, kernelName, (inputs, attributes) => tf.tidy(() => operations(inputs, attributes)))
}

/** What a kernel gave, as a tensor; kernels of plain operations give one already. */
export function tensorOf(result: tf.TensorInfo): tf.Tensor {
  const made = (result as Partial<tf.Tensor>).rank !== undefined
  return made ? (result as tf.Tensor) : tf.engine().makeTensorFromTensorInfo(result)
}

/** The kernel that the backend's own package registered. */
export function stockKernel(backendName: string, kernelName: string): tf.KernelConfig {
  const config = replaced.get(backendName)?.get(kernelName) ?? tf.getKernel(kernelName, backendName)
  if (!config) throw new Error(`the ${backendName} backend has no kernel ${kernelName}`)
  return config
}

/** Takes every replaced kernel of a backend back to what its package registered. */
export function restoreKernels(backendName: string): void {
  for (const [kernelName, config] of replaced.get(backendName) ?? []) {
    if (tf.getKernel(kernelName, backendName)) tf.unregisterKernel(kernelName, backendName)
    if (config) tf.registerKernel(config)
  }
  replaced.delete(backendName)
}

/** Whether the current backend has a kernel of that name. */
export function hasKernel(kernelName: string): boolean {
  return tf.getKernel(kernelName, tf.getBackend()) !== undefined
}
