import { defineTask, type Task } from '../../../define-task.ts'
import { codeMetrics, quantizerSources } from '../quantizer-task.ts'

const codebook = { codebookSize: 512 }

/** Whether the codes that reconstruct digits well can also be generated. */
export const generation: Task = defineTask({
  id: 'vq/generation',
  family: 'vq',
  title: 'Digits generated from 8 codes',
  summary:
    'A small transformer learns the codes of the digits autoencoder, class by class, and draws new ones; its cost is counted on held-out digits. Fréchet distances are taken in the features of a classifier of real digits, from as many held-out ones: of their reconstructions, and of samples of the same classes.',
  methods: {
    vq: [codebook],
    'vq-ema': [{ ...codebook, upkeep: true }],
    rotation: [codebook],
    simvq: [codebook],
    'cosine-vq': [codebook],
    ibq: [codebook],
    fsq: [{ levels: [8, 8, 8], input: 'normalised' }],
    lfq: [{ bits: 9 }],
    bsq: [{ bits: 9 }],
  },
  backends: ['wasm', 'tensorflow'],
  metrics: {
    reconstruction: { title: 'reconstruction', unit: 'mse', better: 'lower' },
    reconstructionDistance: { title: 'reconstructions to real', unit: 'Fréchet distance', better: 'lower' },
    generationDistance: { title: 'samples to real', unit: 'Fréchet distance', better: 'lower' },
    agreement: { title: 'samples seen as their class', unit: 'fraction', better: 'higher' },
    bitsPerImage: { title: 'bits per digit', unit: 'bits', better: 'neither' },
    bitsPerToken: { title: 'bits per code', unit: 'bits', better: 'neither' },
    share: { title: 'bits per code of log2 K', unit: 'fraction', better: 'neither' },
    usage: codeMetrics.usage!,
    perplexity: codeMetrics.perplexity!,
  },
  seeds: 3,
  timing: false,
  sources: [...quantizerSources, 'benchmarks/src/tasks/vq/digits', 'benchmarks/src/tasks/vq/generation'],
  run: async (context) => (await import('./train-generation.ts')).trainGeneration(context),
})
