import { defineTask, type Task } from '../../../define-task.ts'
import { codeMetrics, quantizerSources } from '../quantizer-task.ts'

const means = [1, 0, 3]

/** Methods that take nothing but a number of codes. */
const plain = [
  'vq',
  'diveq',
  'gumbel',
  'ibq',
  'nsvq',
  'optvq',
  'sf-diveq',
  'vq-bridge',
  'vq-ste-plus-plus',
  'wasserstein-vq',
]

/** Codebooks alone, without an encoder: which of them reach a cloud of points that lies off the origin? */
export const codebook: Task = defineTask({
  id: 'vq/codebook',
  family: 'vq',
  title: 'A codebook meets a cloud of points',
  summary:
    'Codes learn a normal cloud in 8 dimensions with a given mean; there is no encoder to adapt, so only the codebook counts.',
  methods: {
    ...Object.fromEntries(plain.map((method) => [method, means.map((mean) => ({ mean, codebookSize: 256 }))])),
    simvq: [true, false].flatMap((bias) => means.map((mean) => ({ mean, codebookSize: 256, bias }))),
  },
  backends: ['wasm', 'tensorflow'],
  metrics: codeMetrics,
  seeds: 3,
  timing: false,
  sources: [...quantizerSources, 'benchmarks/src/tasks/vq/codebook'],
  run: async (context) => (await import('./train-codebook.ts')).trainCodebook(context),
})
