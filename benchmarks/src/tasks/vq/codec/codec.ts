import { defineTask, type Task } from '../../../define-task.ts'
import { codeMetrics, quantizerSources } from '../quantizer-task.ts'

/** Bits for a frame of 64 samples; each layer takes 8. */
const rates = [8, 16, 24, 32, 48, 64]
const everyRate = (params: Task['methods'][string][number] = {}): Task['methods'][string] =>
  rates.map((bits) => Object.assign({ bits }, params))

/** Residual quantizers in a small codec: how much nearer each further layer brings the signal. */
export const codec: Task = defineTask({
  id: 'vq/codec',
  family: 'vq',
  title: 'A codec of residual layers',
  summary:
    'Frames of 64 samples of synthetic plucked tones go through 1 to 8 residual layers of 8 bits each, and a small autoencoder around them; the signal-to-noise ratio is that of fresh signals.',
  methods: {
    'residual-vq': everyRate(),
    'residual-simvq': everyRate(),
    'residual-fsq': [...everyRate({ levels: [4, 4, 4, 4] }), ...everyRate({ levels: [2, 2, 2, 2, 2, 2, 2, 2] })],
    'residual-lfq': everyRate(),
  },
  backends: ['wasm', 'tensorflow'],
  metrics: {
    signalToNoise: { title: 'signal to noise', unit: 'dB', better: 'higher' },
    entropy: { title: 'entropy of the codes', unit: 'bits', better: 'neither' },
    usage: codeMetrics.usage!,
    perplexity: codeMetrics.perplexity!,
  },
  seeds: 3,
  timing: false,
  sources: [...quantizerSources, 'benchmarks/src/tasks/vq/codec'],
  run: async (context) => (await import('./train-codec.ts')).trainCodec(context),
})
