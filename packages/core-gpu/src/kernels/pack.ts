import * as tf from '@tensorflow/tfjs-core'
import { relaxedPack, simdPack } from './pack.gen.ts'

/** A compiled variant of the kernel pack. */
export type Build = 'relaxed' | 'simd'

/** What assembly/ exports. */
export type PackFunction =
  | 'adamw'
  | 'col2im'
  | 'depthwiseGradient'
  | 'gatherRows'
  | 'gemm'
  | 'gemmScratch'
  | 'im2col'
  | 'nearestDistances'
  | 'nearestRows'
  | 'nearestScratch'
  | 'packCodes'
  | 'segmentSum'

// All arguments are addresses, sizes and numbers.
type PackExports = Readonly<Record<PackFunction, (...numbers: number[]) => number>>

interface TensorRecord {
  id: number
  memoryOffset: number
  refCount: number
  readonly shape: number[]
  readonly dtype: tf.DataType
}

/** The parts of tfjs-backend-wasm 4.22 that own kernels use. */
export interface WasmBackend extends tf.KernelBackend {
  readonly wasm: {
    readonly asm: { readonly memory: WebAssembly.Memory }
    readonly HEAPU8: Uint8Array
    _malloc(bytes: number): number
    _free(address: number): void
    readonly tfjs: {
      registerTensor(id: number, size: number, address: number): void
      disposeData(id: number): void
    }
  }
  readonly dataIdMap: { get(dataId: object): TensorRecord }
  dataIdNextNumber: number
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo
}

const modules = new Map<Build, WebAssembly.Module | null>()

/** The best build that this runtime takes, no better than `limit`; null where there is none. */
export function bestBuild(limit: Build | 'none'): Build | null {
  const candidates: Build[] = limit === 'relaxed' ? ['relaxed', 'simd'] : limit === 'simd' ? ['simd'] : []
  return candidates.find((build) => moduleOf(build) !== null) ?? null
}

function moduleOf(build: Build): WebAssembly.Module | null {
  let module = modules.get(build)
  if (module === undefined) {
    const binary = Uint8Array.from(atob(build === 'relaxed' ? relaxedPack : simdPack), (c) => c.charCodeAt(0))
    module = WebAssembly.validate(binary) ? new WebAssembly.Module(binary) : null
    modules.set(build, module)
  }
  return module
}

/** The kernel pack inside one backend's heap: it works on the tensors where they are. */
export class Pack {
  readonly run: PackExports
  readonly backend: WasmBackend
  // One block, grown as needed and kept: an allocation for every operation would cost more than a small operation.
  private block = 0
  private blockBytes = 0

  constructor(backend: WasmBackend, build: Build) {
    this.backend = backend
    const { memory } = backend.wasm.asm
    this.run = new WebAssembly.Instance(moduleOf(build)!, { env: { memory } }).exports as unknown as PackExports
  }

  /**
   * Covers 0 ... items by calls name(from, until, scratch, ...numbers); each thread's calls have `scratchBytes` of their
   * own.
   *
   * Where the ranges begin depends on `grain` alone, so that the result does not depend on the number of threads.
   */
  parallel(name: PackFunction, items: number, grain: number, scratchBytes: number, ...numbers: number[]): void {
    const scratch = scratchBytes === 0 ? 0 : this.scratch(scratchBytes)
    for (let from = 0; from < items; from += grain)
      this.run[name](from, Math.min(from + grain, items), scratch, ...numbers)
  }

  /** The address of a tensor's elements; it stays, while views of the heap end when the heap grows. */
  address(x: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(x.dataId).memoryOffset
  }

  /** The address of `bytes` of working memory, whose content lasts until the next call. */
  scratch(bytes: number): number {
    if (bytes > this.blockBytes) {
      if (this.block !== 0) this.backend.wasm._free(this.block)
      this.block = this.backend.wasm._malloc(bytes) >>> 0
      this.blockBytes = this.block === 0 ? 0 : bytes
      if (this.block === 0) throw new Error(`out of WebAssembly memory: ${bytes} bytes of working memory`)
    }
    return this.block
  }

  /** A new tensor, its elements as the heap left them. */
  output(shape: number[], dtype: tf.DataType = 'float32'): tf.TensorInfo {
    return this.backend.makeOutput(shape, dtype)
  }

  /**
   * Gives a tensor that was changed in place a new identity inside tfjs.
   *
   * Its stock kernels keep weights in a packed form by the identity of their tensor, and would go on using the old ones.
   */
  renew(x: tf.TensorInfo): void {
    const record = this.backend.dataIdMap.get(x.dataId)
    this.backend.wasm.tfjs.disposeData(record.id)
    record.id = this.backend.dataIdNextNumber++
    this.backend.wasm.tfjs.registerTensor(record.id, tf.util.sizeFromShape(x.shape), record.memoryOffset)
  }

  /** Sets a tensor's elements to zero. */
  clear(x: tf.TensorInfo): void {
    const at = this.address(x)
    this.backend.wasm.HEAPU8.fill(0, at, at + tf.util.sizeFromShape(x.shape) * 4)
  }
}

const packs = new WeakMap<object, Map<Build, Pack>>()

/** The pack of a backend, made once. */
export function packFor(backend: tf.KernelBackend, build: Build): Pack {
  let builds = packs.get(backend)
  if (!builds) packs.set(backend, (builds = new Map()))
  let pack = builds.get(build)
  if (!pack) builds.set(build, (pack = new Pack(backend as WasmBackend, build)))
  return pack
}
