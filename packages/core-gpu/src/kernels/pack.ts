import * as tf from '@tensorflow/tfjs-core'
import { type Binary, relaxedPack, simdPack } from './pack.gen.ts'
import { Threads } from './threads.ts'

/** A compiled variant of the kernel pack. */
export type Build = 'relaxed' | 'simd'

/** What assembly/ exports. */
export type PackFunction =
  | 'activate'
  | 'activationGradient'
  | 'adamw'
  | 'attendBlocks'
  | 'attendDelta'
  | 'attendGradientBlocks'
  | 'attendGradientScratch'
  | 'attendGroupGradients'
  | 'attendGroupScratch'
  | 'attendKeyGradients'
  | 'attendMerge'
  | 'attendPack'
  | 'attendPackKeys'
  | 'attendPackQueries'
  | 'attendPackedBytes'
  | 'attendPackedKeys'
  | 'attendPackedQueries'
  | 'attendQueryGradients'
  | 'attendRows'
  | 'attendScratch'
  | 'attendSpan'
  | 'attendSpanBytes'
  | 'attendSpanScratch'
  | 'attendSpans'
  | 'columnParts'
  | 'columnSums'
  | 'convFilterParts'
  | 'convFilterScratch'
  | 'convInputImages'
  | 'convRows'
  | 'convScratch'
  | 'depthwiseFilterParts'
  | 'depthwiseInputLines'
  | 'depthwiseLines'
  | 'gatherRows'
  | 'gemmBatch'
  | 'gemmFewRows'
  | 'gemmRows'
  | 'gemmScratch'
  | 'groupNormGradientSets'
  | 'groupNormSets'
  | 'logSoftmaxGradientRows'
  | 'logSoftmaxRows'
  | 'nearestDistances'
  | 'nearestRows'
  | 'nearestScratch'
  | 'nearestTop'
  | 'nearestTopScratch'
  | 'normGradientParts'
  | 'normRows'
  | 'packCodes'
  | 'packPanels'
  | 'rotateRows'
  | 'rowSums'
  | 'segmentSum'
  | 'softmaxGradientRows'
  | 'softmaxRows'
  | 'spreadRows'
  | 'sumParts'

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

const memoryFlags = { own: 1, shared: 3 }
const binaries: Record<Build, Binary> = { relaxed: relaxedPack, simd: simdPack }
const modules = new Map<string, WebAssembly.Module | null>()

/** The best build that this runtime takes, no better than `limit`; null where there is none. */
export function bestBuild(limit: Build | 'none'): Build | null {
  const candidates: Build[] = limit === 'relaxed' ? ['relaxed', 'simd'] : limit === 'simd' ? ['simd'] : []
  return candidates.find((build) => moduleOf(build, 'own') !== null) ?? null
}

function moduleOf(build: Build, heap: keyof typeof memoryFlags): WebAssembly.Module | null {
  const name = `${build}, ${heap}`
  let module = modules.get(name)
  if (module === undefined) {
    const { base64, memoryFlag } = binaries[build]
    const binary = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
    binary[memoryFlag] = memoryFlags[heap]
    module = WebAssembly.validate(binary) ? new WebAssembly.Module(binary) : null
    modules.set(name, module)
  }
  return module
}

/** A block of the heap, grown as needed and kept: an allocation for every operation would cost more than a small one. */
class WorkingMemory {
  private readonly wasm: WasmBackend['wasm']
  private address = 0
  private bytes = 0

  constructor(wasm: WasmBackend['wasm']) {
    this.wasm = wasm
  }

  take(bytes: number): number {
    if (bytes > this.bytes) {
      if (this.address !== 0) this.wasm._free(this.address)
      this.address = this.wasm._malloc(bytes) >>> 0
      this.bytes = this.address === 0 ? 0 : bytes
      if (this.address === 0) throw new Error(`out of WebAssembly memory: ${bytes} bytes of working memory`)
    }
    return this.address
  }
}

/** The kernel pack inside one backend's heap: it works on the tensors where they are. */
export class Pack {
  readonly run: PackExports
  readonly backend: WasmBackend
  private readonly module: WebAssembly.Module
  private readonly shared: WorkingMemory
  private readonly perThread: WorkingMemory
  private workers: Threads | null = null

  constructor(backend: WasmBackend, build: Build) {
    this.backend = backend
    this.module = moduleOf(build, backend.wasm.asm.memory.buffer instanceof ArrayBuffer ? 'own' : 'shared')!
    this.shared = new WorkingMemory(backend.wasm)
    this.perThread = new WorkingMemory(backend.wasm)
    const { memory } = backend.wasm.asm
    this.run = new WebAssembly.Instance(this.module, { env: { memory } }).exports as unknown as PackExports
  }

  /** How many threads work on one operation. */
  get threads(): number {
    return this.workers?.count ?? 1
  }

  /** Starts or ends workers, so that at most `count` threads work; fewer where the heap is not shared. */
  async useThreads(count: number): Promise<void> {
    const { memory } = this.backend.wasm.asm
    const possible = memory.buffer instanceof ArrayBuffer ? 1 : count
    if (possible === this.threads) return
    this.close()
    if (possible > 1) this.workers = await Threads.start(this.module, memory, possible).catch(() => null)
  }

  /** Ends the workers. */
  close(): void {
    this.workers?.close()
    this.workers = null
  }

  /**
   * Covers 0 ... items by calls name(from, until, scratch, ...numbers); each thread's calls have `scratchBytes` of their
   * own.
   *
   * Where the ranges begin depends on `grain` alone, so that the result does not depend on the number of threads.
   */
  parallel(name: PackFunction, items: number, grain: number, scratchBytes: number, ...numbers: number[]): void {
    const own = this.run[name]
    const bytes = Math.ceil(scratchBytes / 64) * 64
    const together = this.workers !== null && items > grain
    const scratch = bytes === 0 ? 0 : this.perThread.take(bytes * (together ? this.threads : 1))
    if (together) return this.workers!.run(name, own, items, grain, scratch, bytes, numbers)
    for (let from = 0; from < items; from += grain) own(from, Math.min(from + grain, items), scratch, ...numbers)
  }

  /** The address of a tensor's elements; it stays, while views of the heap end when the heap grows. */
  address(x: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(x.dataId).memoryOffset
  }

  /** The address of `bytes` of working memory, whose content lasts until the next call. */
  scratch(bytes: number): number {
    return this.shared.take(bytes)
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

/** Ends the workers of a backend's packs; a kernel set of its own may start them again. */
export function closePacks(backend: tf.KernelBackend): void {
  for (const pack of packs.get(backend)?.values() ?? []) pack.close()
}
