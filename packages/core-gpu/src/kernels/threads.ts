// Threads for the kernel pack: workers that share one WebAssembly memory and take ranges of a kernel's work in turn.
import { isNode } from '../backends/runtime.ts'

// The head of the control block, as int32; the numbers of a call follow as float64.
const OPEN = 0 // whether workers may join the call
const CALL = 1 // grows with each call: what idle workers wait on
const ACTIVE = 2 // workers that have joined
const NEXT = 3 // the first item that nobody has taken
const FUNCTION = 4
const ITEMS = 5
const GRAIN = 6
const COUNT = 7 // how many numbers follow
const FAILED = 8
const HEAD_BYTES = 64
const maxNumbers = 64

/** Idle workers look for work this many times before they sleep: waking one costs more than a small kernel. */
const spins = 2000

// A string, because no loader finds a worker's file in Node, bundles and browsers alike. A worker that wakes late finds
// the call closed and leaves: nobody waits for it. What it reads is stable from its joining to its leaving.
const source = `
const start = ({ module, memory, control, index }) => {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports
  const functions = WebAssembly.Module.exports(module).map(({ name }) => kernels[name])
  const state = new Int32Array(control, 0, ${HEAD_BYTES / 4})
  const numbers = new Float64Array(control, ${HEAD_BYTES})
  const work = () => {
    const [scratch, scratchBytes, ...rest] = numbers.subarray(0, state[${COUNT}])
    const run = functions[state[${FUNCTION}]]
    const items = state[${ITEMS}]
    const grain = state[${GRAIN}]
    for (let from; (from = Atomics.add(state, ${NEXT}, grain)) < items; )
      run(from, Math.min(from + grain, items), scratch + index * scratchBytes, ...rest)
  }
  for (let seen = 0; ; ) {
    for (let i = 0; i < ${spins} && Atomics.load(state, ${CALL}) === seen; i++) Atomics.pause?.()
    Atomics.wait(state, ${CALL}, seen)
    seen = Atomics.load(state, ${CALL})
    Atomics.add(state, ${ACTIVE}, 1)
    try {
      if (Atomics.load(state, ${OPEN}) === 1) work()
    } catch {
      Atomics.store(state, ${FAILED}, 1)
    }
    if (Atomics.sub(state, ${ACTIVE}, 1) === 1) Atomics.notify(state, ${ACTIVE})
  }
}
if (typeof require === 'function') {
  const { parentPort, workerData } = require('node:worker_threads')
  parentPort.postMessage('ready')
  start(workerData)
} else {
  self.onmessage = ({ data }) => {
    self.postMessage('ready')
    start(data)
  }
}
`

interface Thread {
  readonly ready: Promise<void>
  /** lets the process end while this one sleeps */
  release(): void
  terminate(): void
}

/** Workers beside the calling thread. They end with the process, or by `close`. */
export class Threads {
  /** threads that work on a call, the caller included */
  readonly count: number
  private readonly threads: Thread[]
  private readonly state: Int32Array
  private readonly numbers: Float64Array
  private readonly functions: Map<string, number>
  private readonly canSleep: boolean

  private constructor(module: WebAssembly.Module, threads: Thread[], control: SharedArrayBuffer) {
    this.count = threads.length + 1
    this.threads = threads
    this.state = new Int32Array(control, 0, HEAD_BYTES / 4)
    this.numbers = new Float64Array(control, HEAD_BYTES)
    this.functions = new Map(WebAssembly.Module.exports(module).map(({ name }, i) => [name, i]))
    this.canSleep = mayWait()
  }

  /**
   * Starts `count` - 1 workers and waits until they run.
   * @throws Error when one does not start, as under a content policy that forbids workers
   */
  static async start(module: WebAssembly.Module, memory: WebAssembly.Memory, count: number): Promise<Threads> {
    const control = new SharedArrayBuffer(HEAD_BYTES + maxNumbers * 8)
    const threads = Array.from({ length: count - 1 }, (_, i) => startThread({ module, memory, control, index: i + 1 }))
    try {
      await Promise.all(threads.map(({ ready }) => ready))
    } catch (error) {
      for (const thread of threads) thread.terminate()
      throw error
    }
    for (const thread of threads) thread.release()
    return new Threads(module, threads, control)
  }

  /**
   * Covers 0 ... items by calls of `own`, the pack's function `name`, on the calling thread, and of the same function on
   * the others; returns when all are done. Thread i has its scratch memory at `scratch` + i * `scratchBytes`.
   * @throws Error when a kernel trapped on another thread
   */
  run(
    name: string,
    own: (...numbers: number[]) => number,
    items: number,
    grain: number,
    scratch: number,
    scratchBytes: number,
    rest: readonly number[],
  ): void {
    const { state, numbers } = this
    numbers[0] = scratch
    numbers[1] = scratchBytes
    numbers.set(rest, 2)
    state[FUNCTION] = this.functions.get(name)!
    state[ITEMS] = items
    state[GRAIN] = grain
    state[COUNT] = rest.length + 2
    Atomics.store(state, NEXT, 0)
    Atomics.store(state, OPEN, 1)
    Atomics.add(state, CALL, 1)
    Atomics.notify(state, CALL, Math.min(this.threads.length, Math.ceil(items / grain) - 1))
    try {
      for (let from; (from = Atomics.add(state, NEXT, grain)) < items;)
        own(from, Math.min(from + grain, items), scratch, ...rest)
    } finally {
      Atomics.store(state, OPEN, 0)
      this.join()
    }
    if (Atomics.exchange(state, FAILED, 0) !== 0) throw new Error(`the kernel ${name} failed on another thread`)
  }

  /** Ends the workers; of use between calls only. */
  close(): void {
    for (const thread of this.threads) thread.terminate()
  }

  private join(): void {
    for (let looks = 0; ; looks++) {
      const active = Atomics.load(this.state, ACTIVE)
      if (active === 0) return
      // The last ranges take about the same time, so what is left is short.
      if (this.canSleep && looks > spins) Atomics.wait(this.state, ACTIVE, active)
    }
  }
}

/** Whether this runtime lets workers share memory: Node, and pages that are cross-origin isolated. */
export function canShareMemory(): boolean {
  if (typeof SharedArrayBuffer !== 'function') return false
  return isNode || globalThis.crossOriginIsolated === true
}

/** How many threads this machine runs at a time. */
export function processors(): number {
  return isNode
    ? process.getBuiltinModule('node:os').availableParallelism()
    : (globalThis.navigator?.hardwareConcurrency ?? 1)
}

/** Whether this thread may sleep: the main thread of a page may not. */
function mayWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1)
    return true
  } catch {
    return false
  }
}

function startThread(data: object): Thread {
  return isNode ? startNodeThread(data) : startWebWorker(data)
}

function startNodeThread(data: object): Thread {
  const { Worker } = process.getBuiltinModule('node:worker_threads')
  const worker = new Worker(source, { eval: true, workerData: data, execArgv: [], name: 'kernels' })
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('error', reject)
  })
  return { ready, release: () => worker.unref(), terminate: () => void worker.terminate() }
}

function startWebWorker(data: object): Thread {
  const address = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  const worker = new Worker(address, { name: 'kernels' })
  worker.postMessage(data, [])
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve()
    worker.onerror = (event) => reject(new Error(event.message || 'the worker did not start'))
  }).finally(() => URL.revokeObjectURL(address))
  return { ready, release: () => {}, terminate: () => worker.terminate() }
}
