import { defineTask, type Task } from '../../../define-task.ts'
import { codeMetrics, quantizerSources } from '../quantizer-task.ts'

const means = [0, 1, 3, 10]
const everywhere = (params: Task['methods'][string][number] = {}): Task['methods'][string] =>
  means.map((mean) => Object.assign({ mean }, params))

/** The same latents and codes near and far from the origin: straight-through does not notice, rotation does. */
export const origin: Task = defineTask({
  id: 'vq/origin',
  family: 'vq',
  title: 'Codes far from the origin',
  summary:
    'A small autoencoder whose latents, first codes and decoder input are moved together by a given mean: only methods for which the origin is a special point notice. Gradient passed on: what the encoder gets of the length of the decoder’s gradient, in the first ten steps.',
  methods: {
    vq: [...everywhere({ start: 'uniform' }), ...everywhere({ start: 'k-means' })],
    rotation: [
      ...everywhere({ start: 'uniform', scaled: true }),
      ...everywhere({ start: 'uniform', scaled: false }),
      ...everywhere({ start: 'k-means', scaled: true }),
    ],
    simvq: everywhere(),
    'cosine-vq': everywhere({ start: 'uniform' }),
  },
  backends: ['wasm', 'tensorflow'],
  metrics: {
    ...codeMetrics,
    reconstruction: { title: 'reconstruction', unit: 'mse', better: 'lower' },
    passedGradient: { title: 'gradient passed on at first', unit: 'ratio', better: 'neither' },
  },
  seeds: 3,
  timing: false,
  sources: [...quantizerSources, 'benchmarks/src/tasks/vq/origin'],
  run: async (context) => (await import('./train-origin.ts')).trainOrigin(context),
})
