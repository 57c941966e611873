import * as tf from '@tensorflow/tfjs-core'
import type { DeviceDescription, UseBackendOptions } from './device.ts'
import { isNode, requirePackage } from './runtime.ts'
import { type BuiltTensorFlow, nativeKernels, registerBuiltTensorFlow } from './tensorflow-build.ts'
import { readRecord, type TensorFlowVariant } from './tensorflow-record.ts'
import { fixThreads } from './tensorflow-threads.ts'

interface TensorFlowBackend extends tf.KernelBackend {
  readonly binding?: { readonly TF_Version?: string }
  readonly isUsingGpuDevice?: boolean
}

/** What TensorFlow was loaded from: a package and its version. */
interface Origin {
  readonly packageName: string
  readonly version: string
  /** whether its binding has our own operations */
  readonly operations: boolean
}

const packageNames = {
  tensorflow: '@tensorflow/tfjs-node',
  'tensorflow-gpu': '@tensorflow/tfjs-node-gpu',
} as const

// Both variants register one and the same backend, `tensorflow`: the first to be loaded keeps the process.
let loaded: Origin | undefined

/** What opening TensorFlow gives, whichever build it is. */
interface OpenedTensorFlow {
  readonly usesGpu: boolean
  /** whether the binding has our own operations */
  readonly operations: boolean
  readonly description: Omit<DeviceDescription, 'backend' | 'runtime' | 'kernels'>
}

/** Loads TensorFlow, from the installed package or from what was built for it, and makes it current. */
export async function openTensorFlow(
  variant: TensorFlowVariant,
  { from, threads }: Pick<UseBackendOptions, 'from' | 'threads'> = {},
): Promise<OpenedTensorFlow> {
  if (!isNode) throw new Error('it runs in Node only')
  return open(packageNames[variant], threads, () => load(variant, from))
}

/** Loads what was built in a folder, recorded or not, and makes it current. */
export async function openBuiltTensorFlow(build: BuiltTensorFlow): Promise<OpenedTensorFlow> {
  return open(packageNames[build.variant], undefined, () => loadBuilt(build))
}

async function open(packageName: string, threads: number | undefined, loadIt: () => Origin): Promise<OpenedTensorFlow> {
  const present = tf.findBackendFactory('tensorflow') !== null
  const count = fixThreads(threads, present)
  if (!present) loaded = loadIt()
  if (!(await tf.setBackend('tensorflow'))) throw new Error('TensorFlow did not start')
  const backend = tf.backend() as TensorFlowBackend
  // Loaded by someone else, its origin is not known.
  const origin = loaded ?? { packageName, version: 'unknown', operations: false }
  return {
    usesGpu: backend.isUsingGpuDevice === true,
    operations: origin.operations,
    description: {
      versions: {
        '@tensorflow/tfjs-core': tf.version_core,
        [origin.packageName]: origin.version,
        tensorflow: backend.binding?.TF_Version ?? 'unknown',
      },
      threads: count,
      simd: null,
      adapter: null,
    },
  }
}

/** The installed package when its binding loads, else what `x-core setup-tensorflow` built. */
function load(variant: TensorFlowVariant, from: string | undefined): Origin {
  const packageName = packageNames[variant]
  try {
    supplyMissingUtilities()
    requirePackage(packageName, from)
    const { version } = requirePackage(`${packageName}/package.json`, from) as { version: string }
    return { packageName, version, operations: false }
  } catch (error) {
    // A place that was asked for by name is the only one that counts.
    const record = from === undefined ? readRecord(variant) : undefined
    if (record === undefined) throw error
    return loadBuilt(record)
  }
}

function loadBuilt(build: BuiltTensorFlow): Origin {
  supplyMissingUtilities()
  // An installed package without a binding registers its kernels before it finds out.
  for (const { kernelName } of tf.getKernelsForBackend('tensorflow')) tf.unregisterKernel(kernelName, 'tensorflow')
  registerBuiltTensorFlow(build)
  return {
    packageName: packageNames[build.variant],
    version: build.tfjsNode,
    operations: build.kernels === nativeKernels,
  }
}

/** tfjs-node 4.22 calls a function that Node 23 removed. */
function supplyMissingUtilities(): void {
  const util = process.getBuiltinModule('node:util') as { isNullOrUndefined?: (value: unknown) => boolean }
  util.isNullOrUndefined ??= (value) => value === null || value === undefined
}
