import { defineTask, type Task } from '../../define-task.ts'
import type { RunSpec } from '../../result.ts'

/** Sizes of an operation by name, all whole numbers. */
export type Size = Readonly<Record<string, number>>

/** What one call has to do at the least, whoever does it. */
interface Floor {
  /** floating-point operations of the usual algorithm; a multiplication with its addition counts two */
  readonly flops?: number
  /** bytes read and written, each input and output once */
  readonly bytes?: number
}

/** One operation in some forms and sizes, for `defineKernelTask`. */
export interface KernelTask {
  /** the last part of the task's id, and the operation's name in `operations.ts` and in the peers' programs */
  readonly operation: string
  readonly title: string
  readonly summary: string
  /** the forms of the operation, each with its sizes, the usual one first */
  readonly forms: Readonly<Record<string, readonly Size[]>>
  /** whether it is measured by operations or by bytes */
  readonly bound: 'flops' | 'bytes'
  floor(form: string, size: Size): Floor
  /** the forms measured on backends other than `wasm`, at their first size */
  readonly elsewhere?: Readonly<Record<string, readonly string[]>>
  /** whether TensorFlow.js alone can do it in reasonable time and memory; by default it can */
  stock?(form: string, size: Size): boolean
  /** more of what its results depend on */
  readonly sources?: readonly string[]
}

/** What one run of a kernel task measures. */
export interface KernelRun {
  readonly operation: string
  /** operations or bytes of one call, by what the task is measured in */
  readonly work: number
  readonly bound: KernelTask['bound']
  readonly stock: boolean
}

/** The sizes of a run. */
export function sizeOf(params: RunSpec['params']): Size {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, Number(value)]))
}

/** Defines a comparison of one kernel with those of TensorFlow.js and of the peers, round by round. */
export function defineKernelTask(kernel: KernelTask): Task {
  const { operation, title, summary, forms, bound, elsewhere = {}, sources = [] } = kernel
  const rate = bound === 'flops' ? 'GFLOP/s' : 'GB/s'
  return defineTask({
    id: `kernels/${operation}`,
    family: 'kernels',
    title,
    summary,
    methods: forms,
    backends: ['wasm', ...Object.keys(elsewhere)],
    covers: ({ method, params, backend }) =>
      backend === 'wasm' || (elsewhere[backend]?.includes(method) === true && params === forms[method]?.[0]),
    peers: ['torch'],
    metrics: {
      own: { title: 'ours', unit: 'ms', better: 'lower' },
      stock: { title: 'TensorFlow.js', unit: 'ms', better: 'lower' },
      torch: { title: 'PyTorch', unit: 'ms', better: 'lower' },
      rate: { title: 'rate', unit: rate, better: 'higher' },
      share: {
        title: bound === 'flops' ? 'share of the largest matrix product' : 'share of the rate of copying',
        unit: 'fraction',
        better: 'higher',
      },
      speedup: { title: 'TensorFlow.js / ours', unit: 'ratio', better: 'higher' },
      torchRatio: { title: 'ours / PyTorch', unit: 'ratio', better: 'lower' },
      memory: { title: 'memory of a call', unit: 'MB', better: 'lower' },
      stockMemory: { title: 'memory of a call, TensorFlow.js', unit: 'MB', better: 'lower' },
      torchMemory: { title: 'memory of a call, PyTorch', unit: 'MB', better: 'lower' },
      memoryRatio: { title: 'memory, ours / PyTorch', unit: 'ratio', better: 'lower' },
    },
    seeds: 1,
    timing: true,
    sources: [
      'packages/core-gpu/assembly',
      'packages/core-gpu/src',
      'benchmarks/peers',
      'benchmarks/src/interleave.ts',
      'benchmarks/src/open-backend.ts',
      'benchmarks/src/tasks/kernels',
      ...sources,
    ],
    run: async (context) => {
      const { measureKernel } = await import('./measure-kernel.ts')
      const { method, params } = context.run
      const size = sizeOf(params)
      const work = kernel.floor(method, size)[bound]
      if (work === undefined) throw new RangeError(`floor of kernels/${operation}: expected ${bound}, got none`)
      return measureKernel(context, { operation, work, bound, stock: kernel.stock?.(method, size) ?? true })
    },
  })
}
