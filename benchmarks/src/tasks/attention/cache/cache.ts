import { defineTask, type Task } from '../../../define-task.ts'
import { attentionSources } from '../attention-sources.ts'
import { models, variants } from './models.ts'

/** What the caches of known models take, read from buffers. */
export const cache: Task = defineTask({
  id: 'attention/cache',
  family: 'attention',
  title: 'Caches of real models',
  summary:
    'Bytes of a token in a layer, read from the live buffers of a cache of the model’s shape, and what all layers hold at 1K, 8K and 128K tokens. For each model its own attention, and what others would take with as many heads.',
  methods: Object.fromEntries(
    Object.keys(variants).map((variant) => [variant, Object.keys(models).map((model) => ({ model }))]),
  ),
  backends: ['wasm', 'tensorflow'],
  metrics: {
    elements: { title: 'numbers of a token, each layer', unit: 'numbers', better: 'lower' },
    float32: { title: 'of a token, each layer, float32', unit: 'B', better: 'lower' },
    float16: { title: 'float16', unit: 'B', better: 'lower' },
    int8: { title: 'int8', unit: 'B', better: 'lower' },
    fp8: { title: 'fp8, latents as FlashMLA', unit: 'B', better: 'lower' },
    at1k: { title: 'all layers at 1K, float16', unit: 'GiB', better: 'lower' },
    at8k: { title: 'all layers at 8K, float16', unit: 'GiB', better: 'lower' },
    at128k: { title: 'all layers at 128K, float16', unit: 'GiB', better: 'lower' },
  },
  seeds: 1,
  timing: false,
  sources: [
    ...attentionSources,
    'packages/attention/src/storages',
    'benchmarks/src/tasks/attention/attention-sources.ts',
    'benchmarks/src/tasks/attention/cache',
  ],
  run: async (context) => (await import('./measure-cache.ts')).measureCache(context),
})
