import { defineTask, type Task } from '../../../define-task.ts'
import { codeMetrics, quantizerSources } from '../quantizer-task.ts'

const codebook = { codebookSize: 512 }

/** Autoencoders of digits that differ in their quantizer alone. */
export const digits: Task = defineTask({
  id: 'vq/digits',
  family: 'vq',
  title: 'Digits through 8 codes',
  summary:
    'The same small autoencoder learns handwritten digits (MNIST-10k subset) with each quantizer; figures are counted on held-out digits. Upkeep: codes start by k-means, and dead ones are replaced.',
  methods: {
    vq: [codebook],
    'vq-ema': [
      { ...codebook, upkeep: true },
      { ...codebook, upkeep: false },
    ],
    rotation: [codebook],
    simvq: [codebook],
    'cosine-vq': [codebook],
    diveq: [codebook],
    gumbel: [codebook],
    ibq: [codebook],
    nsvq: [codebook],
    optvq: [codebook],
    'sf-diveq': [codebook],
    'vq-bridge': [codebook],
    'vq-ste-plus-plus': [codebook],
    'wasserstein-vq': [codebook],
    fsq: [
      { levels: [8, 8, 8], input: 'normalised' },
      { levels: [8, 8, 8], input: 'raw' },
    ],
    ifsq: [{ levels: [7, 7, 9], input: 'normalised' }],
    fsp: [{ levels: [8, 8, 8] }],
    'latent-quantization': [{ levels: [8, 8, 8] }],
    lfq: [{ bits: 9 }],
    bsq: [{ bits: 9 }],
  },
  backends: ['wasm', 'tensorflow'],
  metrics: {
    reconstruction: { title: 'reconstruction', unit: 'mse', better: 'lower' },
    ...codeMetrics,
    stepTime: { title: 'training step', unit: 'ms', better: 'lower' },
  },
  seeds: 3,
  timing: false,
  sources: [...quantizerSources, 'benchmarks/src/tasks/vq/digits'],
  run: async (context) => (await import('./train-digits.ts')).trainDigits(context),
})
