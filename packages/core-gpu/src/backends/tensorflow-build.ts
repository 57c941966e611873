import * as tf from '@tensorflow/tfjs-core'
import type { TensorFlowRecord } from './tensorflow-record.ts'

/** What must be known of a build to load it. */
export type BuiltTensorFlow = Pick<TensorFlowRecord, 'folder' | 'variant' | 'tfjsNode' | 'kernels'>

/** Counts the versions of native/kernels.cc: what was built of another one is built anew, and until then not used. */
export const nativeKernels = 3

/** The compiled binding, inside the folder that `x-core setup-tensorflow` made. */
export const bindingFile = 'tfjs_binding.node'

/** The packages that tfjs-node's code asks for, and that are this process's tfjs-core. */
export const corePackages = ['@tensorflow/tfjs', '@tensorflow/tfjs-core'] as const

type BackendClass = new (binding: unknown, packageName: string) => tf.KernelBackend

/**
 * Registers the backend `tensorflow` and its kernels from what `x-core setup-tensorflow` built.
 *
 * Does what the main file of tfjs-node does, except that its kernels get the tfjs-core of this process in the place of
 * one of their own.
 * @throws Error when the binding does not load
 */
export function registerBuiltTensorFlow({ folder, variant }: BuiltTensorFlow): void {
  const { createRequire, Module } = process.getBuiltinModule('node:module')
  const { join } = process.getBuiltinModule('node:path')
  const require = createRequire(join(folder, 'package.json'))
  const binding: unknown = require(`./${bindingFile}`)
  for (const name of corePackages) {
    const file = require.resolve(name)
    require.cache[file] = Object.assign(new Module(file), { filename: file, loaded: true, exports: tf })
  }
  require('./node_modules/@tensorflow/tfjs-node/dist/register_all_kernels.js')
  const { NodeJSKernelBackend } = require('./node_modules/@tensorflow/tfjs-node/dist/nodejs_kernel_backend.js') as {
    NodeJSKernelBackend: BackendClass
  }
  const packageName = variant === 'tensorflow-gpu' ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node'
  tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, packageName), 3)
}
