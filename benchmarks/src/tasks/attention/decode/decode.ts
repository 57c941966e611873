import { defineTask, type Task } from '../../../define-task.ts'
import { attentionSources } from '../attention-sources.ts'
import { methods } from './attentions.ts'

/** Longer contexts at sixteen heads, more heads at one context. */
const sizes = [
  ...[8192, 2048, 512].map((context) => ({ context, heads: 16 })),
  ...[4, 64].map((heads) => ({ context: 2048, heads })),
]

/** What a new token costs, by the length of what came before. */
export const decode: Task = defineTask({
  id: 'attention/decode',
  family: 'attention',
  title: 'Decoding through a cache',
  summary:
    'One layer of heads of 64 reads one token more, its context in a cache or computed again. Moved: the bytes of weights and cache that a token must read. The cache is filled with random tokens.',
  methods: Object.fromEntries(methods.map((method) => [method, sizes])),
  backends: ['wasm', 'tensorflow', 'tensorflow-gpu'],
  metrics: {
    tokensPerSecond: { title: 'through the cache', unit: 'tokens/s', better: 'higher' },
    rerun: { title: 'context computed again', unit: 'tokens/s', better: 'higher' },
    cache: { title: 'cache of a token', unit: 'B', better: 'lower' },
    moved: { title: 'read for a token', unit: 'MB', better: 'lower' },
  },
  seeds: 1,
  timing: true,
  sources: [
    ...attentionSources,
    'benchmarks/src/tasks/attention/attention-sources.ts',
    'benchmarks/src/tasks/attention/decode',
  ],
  run: async (context) => (await import('./measure-decode.ts')).measureDecode(context),
})
