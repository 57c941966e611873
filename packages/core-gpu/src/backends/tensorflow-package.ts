import * as tf from '@tensorflow/tfjs-core'
import type { DeviceDescription } from './device.ts'
import { isNode, requirePackage } from './runtime.ts'

interface TensorFlowBackend extends tf.KernelBackend {
  readonly binding?: { readonly TF_Version?: string }
  readonly isUsingGpuDevice?: boolean
}

// Both packages register one and the same backend, `tensorflow`: the first to be loaded keeps the process.
let loaded: string | undefined

/** Loads tfjs-node or its GPU build and makes it current. */
export async function openTensorFlow(
  packageName: string,
  from: string | undefined,
): Promise<{ usesGpu: boolean; description: Omit<DeviceDescription, 'backend' | 'runtime'> }> {
  if (!isNode) throw new Error('it runs in Node only')
  if (tf.findBackendFactory('tensorflow') === null) {
    const util = process.getBuiltinModule('node:util') as { isNullOrUndefined?: (value: unknown) => boolean }
    // tfjs-node 4.22 calls this; Node 23 removed it.
    util.isNullOrUndefined ??= (value) => value === null || value === undefined
    requirePackage(packageName, from)
    loaded = packageName
  }
  if (!(await tf.setBackend('tensorflow'))) throw new Error('TensorFlow did not start')
  const backend = tf.backend() as TensorFlowBackend
  return {
    usesGpu: backend.isUsingGpuDevice === true,
    description: {
      versions: {
        '@tensorflow/tfjs-core': tf.version_core,
        [loaded ?? packageName]: versionOf(loaded ?? packageName, from),
        tensorflow: backend.binding?.TF_Version ?? 'unknown',
      },
      threads: null,
      simd: null,
      adapter: null,
      kernels: 'stock',
    },
  }
}

function versionOf(packageName: string, from: string | undefined): string {
  try {
    return (requirePackage(`${packageName}/package.json`, from) as { version: string }).version
  } catch {
    return 'unknown' // loaded by someone else, from a place not known here
  }
}
