import { defineTask, type Task } from '../../../define-task.ts'

/** One training step with this project's kernels and with those that TensorFlow.js ships. */
export const trainingStep: Task = defineTask({
  id: 'core/training-step',
  family: 'core',
  title: 'A training step, our kernels against stock ones',
  summary:
    'The digits autoencoder learns in two processes that take turns: one with the kernels of @x/core-gpu, one with those of TensorFlow.js and plain versions of what it lacks.',
  methods: { vq: [{ codebookSize: 512, batchSize: 64 }], simvq: [{ codebookSize: 512, batchSize: 64 }] },
  backends: ['wasm'],
  metrics: {
    own: { title: 'our kernels', unit: 'ms', better: 'lower' },
    stock: { title: 'stock kernels', unit: 'ms', better: 'lower' },
    speedup: { title: 'stock / ours', unit: 'ratio', better: 'higher' },
  },
  seeds: 1,
  timing: true,
  sources: [
    'packages/core-gpu/assembly',
    'packages/core-gpu/src',
    'packages/vq/src',
    'benchmarks/src/interleave.ts',
    'benchmarks/src/open-backend.ts',
    'benchmarks/src/tasks/core/training-step',
    'benchmarks/src/tasks/vq/digits',
  ],
  run: async (context) => (await import('./measure-step.ts')).measureStep(context),
})
