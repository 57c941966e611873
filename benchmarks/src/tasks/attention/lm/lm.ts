import { defineTask, type Task } from '../../../define-task.ts'
import { attentionSources } from '../attention-sources.ts'
import { methodsOf } from './variants.ts'

const comparisons = ['equal cache', 'usual sizes'] as const

/** A small language model of one book: what each attention costs in bits, at equal caches and at its usual size. */
export const lm: Task = defineTask({
  id: 'attention/lm',
  family: 'attention',
  title: 'A character model of Moby Dick',
  summary:
    'Decoders of two layers read nine tenths of the chapters and are judged by the others, all with as many parameters as one with plain MHA: at equal cache a token leaves at most 64 numbers in each layer, at usual sizes what the method is usually given.',
  methods: Object.fromEntries(
    methodsOf('equal cache').map((method) => [
      method,
      comparisons.filter((comparison) => methodsOf(comparison).includes(method)).map((comparison) => ({ comparison })),
    ]),
  ),
  backends: ['wasm', 'tensorflow', 'tensorflow-gpu'],
  metrics: {
    bits: { title: 'held-out text', unit: 'bits/character', better: 'lower' },
    trainBits: { title: 'text trained on', unit: 'bits/character', better: 'lower' },
    cache: { title: 'cache of a token, each layer', unit: 'B', better: 'lower' },
  },
  seeds: 3,
  timing: false,
  sources: [
    ...attentionSources,
    'packages/attention/src/decoder',
    'packages/attention/src/tokenizers',
    'benchmarks/src/tasks/attention/attention-sources.ts',
    'benchmarks/src/tasks/attention/lm',
  ],
  run: async (context) => (await import('./train-lm.ts')).trainLm(context),
})
