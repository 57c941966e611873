import { defineTask, type Task } from '../../../define-task.ts'
import { attentionSources } from '../attention-sources.ts'

/** Lengths of sequences; the matrix of all pairs fits only the shorter ones. */
export const lengths: Readonly<Record<string, readonly number[]>> = {
  tiled: [1024, 2048, 4096, 8192, 16_384, 32_768],
  naive: [1024, 2048, 4096],
}

/** How memory grows with the sequence, by kernels and by plain operations. */
export const memory: Task = defineTask({
  id: 'attention/memory',
  family: 'attention',
  title: 'Memory of attention over long sequences',
  summary:
    'How far the memory of a fresh process rises during one causal attention of 4 heads over ever longer sequences: by the kernels, which go tile by tile, and by plain operations, which form the matrix of all pairs.',
  methods: Object.fromEntries(
    Object.entries(lengths).map(([method, all]) => [method, all.map((length) => ({ length }))]),
  ),
  backends: ['wasm', 'tensorflow'],
  metrics: {
    memory: { title: 'rise of memory', unit: 'MB', better: 'lower' },
    time: { title: 'forward pass', unit: 'ms', better: 'lower' },
  },
  seeds: 1,
  timing: true,
  sources: [
    ...attentionSources,
    'benchmarks/src/tasks/attention/attention-sources.ts',
    'benchmarks/src/tasks/attention/memory',
    'benchmarks/src/tasks/kernels/memory.ts',
  ],
  run: async (context) => (await import('./measure-memory.ts')).measureMemory(context),
})
