import { defineTask, type Task } from '../../../define-task.ts'
import { codeMetrics, quantizerSources } from '../quantizer-task.ts'

const sizes = [16, 14, 12, 10, 8].map((bits) => ({ codebookSize: 2 ** bits }))
/** Counting the codes of a codebook this large takes a processor some twenty minutes. */
const largest = { codebookSize: 2 ** 18 }

const { usage, perplexity, relativeError } = codeMetrics

/** Ever larger codebooks: how much of them is used, what a training step takes, and how much memory. */
export const scale: Task = defineTask({
  id: 'vq/scale',
  family: 'vq',
  title: 'Codebooks of 2^8 to 2^18 codes',
  summary:
    'Vectors of 32 numbers are quantized by ever larger codebooks; codes are counted on fresh vectors, 20 for each code. Memory: its rise while 8192 vectors are quantized at once. Codebooks of 2^18 are searched on GPUs only.',
  methods: Object.fromEntries(['vq', 'simvq', 'fsq', 'lfq', 'bsq'].map((method) => [method, [...sizes, largest]])),
  backends: ['wasm', 'tensorflow', 'tensorflow-gpu'],
  covers: ({ method, params, backend }) =>
    (method !== 'vq' && method !== 'simvq') ||
    params.codebookSize !== largest.codebookSize ||
    backend === 'tensorflow-gpu',
  metrics: {
    usage: usage!,
    perplexity: perplexity!,
    relativeError: relativeError!,
    stepTime: { title: 'training step', unit: 'ms', better: 'lower' },
    memory: { title: 'memory of quantizing', unit: 'MB', better: 'lower' },
  },
  seeds: 3,
  timing: true,
  sources: [...quantizerSources, 'benchmarks/src/tasks/kernels/memory.ts', 'benchmarks/src/tasks/vq/scale'],
  run: async (context) => (await import('./train-scale.ts')).trainScale(context),
})
