import * as tf from '@tensorflow/tfjs-core'
import '../gradients.ts'
import { describeValue, requireInteger } from '../validation/validation.ts'
import { BackendError, type BackendAttempt } from './backend-error.ts'
import { backendNames, type BackendLoader, type BackendName, type Device, type UseBackendOptions } from './device.ts'
import { describeRuntime } from './runtime.ts'

// A page fetches the kernels of the backend that it uses, and of no other.
const loaders: Record<BackendName, () => Promise<BackendLoader>> = {
  'tensorflow-gpu': async () => (await import('./tensorflow-gpu.ts')).tensorflowGpu,
  tensorflow: async () => (await import('./tensorflow.ts')).tensorflow,
  webgpu: async () => (await import('./webgpu.ts')).webgpu,
  wasm: async () => (await import('./wasm.ts')).wasm,
  cpu: async () => (await import('./cpu.ts')).cpu,
}

/**
 * Makes a backend TensorFlow.js's current one, with our kernels and all gradients registered.
 *
 * `auto` takes the first that works of tensorflow-gpu, tensorflow, webgpu (on a real graphics card), wasm and cpu.
 * May be called again at any time, to switch; a failed call leaves the backend as it was.
 * @throws RangeError when `name` or an option is none of those known
 * @throws BackendError when it cannot be used: what was tried, why it failed, what to install
 */
export async function useBackend(
  name: BackendName | 'auto' = 'auto',
  options: UseBackendOptions = {},
): Promise<Device> {
  requireOneOf('name', name, ['auto', ...backendNames])
  if (options.kernels !== undefined) requireOneOf('options.kernels', options.kernels, ['own', 'stock'])
  if (options.simd !== undefined) requireOneOf('options.simd', options.simd, ['relaxed', 'simd', 'none'])
  if (options.threads !== undefined) requireInteger('options.threads', options.threads, 1)

  const previous = currentBackend()
  const attempts: BackendAttempt[] = []
  for (const backend of name === 'auto' ? backendNames : [name]) {
    const loader = await loaders[backend]()
    try {
      const opened = await loader.open(options, name === 'auto')
      const description = { backend, runtime: describeRuntime(), ...opened }
      return { name: backend, skipped: attempts, describe: () => structuredClone(description) }
    } catch (error) {
      const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n') // no require stack
      attempts.push({ backend, reason, install: loader.install })
    }
  }
  if (previous !== undefined) await tf.setBackend(previous)
  throw new BackendError(attempts)
}

// `tf.getBackend()` would start one if there were none.
function currentBackend(): string | undefined {
  return tf.engine().backendName ?? undefined
}

function requireOneOf(argument: string, value: string, valid: readonly string[]): void {
  if (valid.includes(value)) return
  throw new RangeError(`${argument}: expected one of ${valid.join(', ')}, got ${describeValue(value)}`)
}
