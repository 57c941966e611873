import * as tf from '@tensorflow/tfjs-core'
import { installWasmKernels } from '../kernels/install-wasm.ts'
import { bestBuild } from '../kernels/pack.ts'
import type { BackendLoader, SimdLevel } from './device.ts'
import { isNode } from './runtime.ts'

/** WebAssembly, with our kernels beside those of tfjs-backend-wasm. */
export const wasm: BackendLoader = {
  install: 'npm install @tensorflow/tfjs-backend-wasm, on a runtime with WebAssembly',
  async open({ kernels = 'own', simd = 'relaxed', wasmPaths }) {
    if (typeof WebAssembly !== 'object') throw new Error('this runtime has no WebAssembly')
    const library = await import('@tensorflow/tfjs-backend-wasm')
    const paths = wasmPaths ?? (isNode ? undefined : bundledPaths())
    if (paths !== undefined) library.setWasmPaths(paths)
    // The threaded build keeps its tensors in shared memory, which single-threaded kernels cannot enter.
    if (kernels === 'own') tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
    if (!(await tf.setBackend('wasm'))) throw new Error('the .wasm files of tfjs-backend-wasm could not be loaded')
    const build = kernels === 'own' ? bestBuild(simd) : null
    installWasmKernels(kernels, build)
    const stockSimd: SimdLevel = tf.env().getBool('WASM_HAS_SIMD_SUPPORT') ? 'simd' : 'none'
    return {
      versions: { '@tensorflow/tfjs-core': tf.version_core, '@tensorflow/tfjs-backend-wasm': library.version_wasm },
      threads: library.getThreadsCount(),
      simd: kernels === 'own' ? (build ?? 'none') : stockSimd,
      adapter: null,
      kernels,
    }
  },
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
