import type { BackendAttempt } from './backend-error.ts'

/** The backends, best first. */
export const backendNames = ['tensorflow-gpu', 'tensorflow', 'webgpu', 'wasm', 'cpu'] as const

/** `tensorflow-gpu` and `tensorflow` run in Node only, the others in Node and in browsers. */
export type BackendName = (typeof backendNames)[number]

/** The widest vector instructions that the WebAssembly kernels use. */
export type SimdLevel = 'relaxed' | 'simd' | 'none'

/** Our kernels, or what TensorFlow.js ships plus plain versions of what it lacks. */
export type KernelSet = 'own' | 'stock'

/** Options of `useBackend`. */
export interface UseBackendOptions {
  /** `stock` is the baseline to measure `own` (default) against */
  readonly kernels?: KernelSet
  /** the highest SIMD level that own WebAssembly kernels may use; default: what the runtime has */
  readonly simd?: SimdLevel
  /**
   * threads inside one operation, on `wasm` and native TensorFlow; default: as many as this process may use. On `wasm` one
   * where memory cannot be shared: in pages that are not cross-origin isolated
   */
  readonly threads?: number
  /** where a browser finds the .wasm files of tfjs-backend-wasm: a folder, or an address by file name */
  readonly wasmPaths?: string | Record<string, string>
  /** a folder or file from which packages that only Node has are resolved; default: here, then the working directory */
  readonly from?: string
}

/** What a result must say about where it was made; plain JSON. */
export interface DeviceDescription {
  readonly backend: BackendName
  /** library versions by package name; `tensorflow` where that is the engine */
  readonly versions: Record<string, string>
  /** `node 24.21.0`, or the browser's user agent */
  readonly runtime: string
  /** threads inside one operation, where the backend says */
  readonly threads: number | null
  readonly simd: SimdLevel | null
  /** the graphics adapter */
  readonly adapter: string | null
  readonly kernels: KernelSet
}

/** The backend in use. */
export interface Device {
  readonly name: BackendName
  /** backends that `auto` passed over on the way here, with the reasons */
  readonly skipped: readonly BackendAttempt[]
  describe(): DeviceDescription
}

/** One backend's loading code: makes it TensorFlow.js's current backend, or throws an error that says why not. */
export interface BackendLoader {
  /** what to do about an absence */
  readonly install: string
  open(options: UseBackendOptions, automatic: boolean): Promise<Omit<DeviceDescription, 'backend' | 'runtime'>>
}
