import * as tf from '@tensorflow/tfjs-core'
import { installWasmKernels } from '../kernels/install-wasm.ts'
import { bestBuild, closePacks, packFor } from '../kernels/pack.ts'
import { canShareMemory, processors } from '../kernels/threads.ts'
import type { BackendLoader, SimdLevel } from './device.ts'
import { isNode } from './runtime.ts'
import { sharedHeapPaths } from './shared-heap.ts'

/** WebAssembly, with our kernels beside those of tfjs-backend-wasm. */
export const wasm: BackendLoader = {
  install: 'npm install @tensorflow/tfjs-backend-wasm, on a runtime with WebAssembly',
  async open({ kernels = 'own', simd = 'relaxed', threads = processors(), wasmPaths }) {
    if (typeof WebAssembly !== 'object') throw new Error('this runtime has no WebAssembly')
    const library = await import('@tensorflow/tfjs-backend-wasm')
    // Its own threads run in browsers only, and ours would find its memory laid out for them.
    if (kernels === 'own') tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
    const paths = wasmPaths ?? (isNode ? undefined : bundledPaths())
    if (!(await startLibrary(library, paths, kernels === 'own' && canShareMemory()))) {
      throw new Error('the .wasm files of tfjs-backend-wasm could not be loaded')
    }
    const build = kernels === 'own' ? bestBuild(simd) : null
    installWasmKernels(kernels, build)
    closePacks(tf.backend())
    const pack = build === null ? null : packFor(tf.backend(), build)
    await pack?.useThreads(threads)
    const stockSimd: SimdLevel = tf.env().getBool('WASM_HAS_SIMD_SUPPORT') ? 'simd' : 'none'
    return {
      versions: { '@tensorflow/tfjs-core': tf.version_core, '@tensorflow/tfjs-backend-wasm': library.version_wasm },
      threads: pack?.threads ?? library.getThreadsCount(),
      simd: kernels === 'own' ? (build ?? 'none') : stockSimd,
      adapter: null,
      kernels,
    }
  },
}

/** Makes the library's backend current; where it was before, its memory stays as it is. */
async function startLibrary(
  library: typeof import('@tensorflow/tfjs-backend-wasm'),
  paths: string | Record<string, string> | undefined,
  share: boolean,
): Promise<boolean> {
  if (tf.engine().registry['wasm'] !== undefined) return tf.setBackend('wasm')
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')
  const shared = share ? await sharedHeapPaths(simd === true, paths) : null
  if (shared !== null) library.setWasmPaths(shared, true)
  else if (paths !== undefined) library.setWasmPaths(paths)
  const started = await tf.setBackend('wasm')
  for (const address of new Set(Object.values(shared ?? {}))) URL.revokeObjectURL(address)
  return started
}

// Written out one by one: bundlers find an asset only through a literal `new URL(..., import.meta.url)`.
function bundledPaths(): Record<string, string> {
  return {
    'tfjs-backend-wasm.wasm': new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm', import.meta.url)
      .href,
    'tfjs-backend-wasm-simd.wasm': new URL(
      '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm',
      import.meta.url,
    ).href,
    'tfjs-backend-wasm-threaded-simd.wasm': new URL(
      '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm',
      import.meta.url,
    ).href,
  }
}
