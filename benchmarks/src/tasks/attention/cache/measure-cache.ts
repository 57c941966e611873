import {
  cacheBytes,
  contiguous,
  float16,
  float32,
  fp8,
  int8,
  latentFp8,
  type Storage,
  type Streams,
} from '@x/attention'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { models, variants } from './models.ts'

/** Bytes that are allocated to be measured, at most. */
const most = 2 ** 26
const GiB = 2 ** 30

/** How many tokens of a context fit there. */
function allocated(streams: Streams, storage: Storage, context: number): number {
  return Math.max(1, Math.min(context, Math.floor(most / cacheBytes(streams, { batch: 1, capacity: 1, storage }))))
}

/** Bytes of a token, from the buffers of a cache that is made for it. */
function measured(streams: Streams, storage: Storage, context: number): number {
  const capacity = allocated(streams, storage, context)
  const cache = contiguous().create(streams, { batch: 1, capacity, storage })
  const { bytes } = cache
  cache.dispose()
  return bytes / capacity
}

/** Makes caches of one model's shape, and reads their sizes. */
export async function measureCache({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const [model, variant] = [models[String(run.params.model)], variants[run.method]]
  if (!variant) throw new RangeError(`method: unknown "${run.method}"; known: ${Object.keys(variants).join(', ')}`)
  if (!model) throw new RangeError(`model: unknown "${run.params.model}"; known: ${Object.keys(models).join(', ')}`)
  const device = await openBackend(run.backend)
  signal.throwIfAborted()
  const streams = variant.streams(model)
  const latent = streams['tokens']
  const storages = {
    float32: float32(),
    float16: float16(),
    int8: int8(),
    fp8: latent ? latentFp8({ rank: 512, ropeDim: latent[1] - 512 }) : fp8({ group: 64 }),
  }
  const context = run.quick ? 16 : 131_072
  const perToken = Object.fromEntries(
    Object.entries(storages).map(([name, storage]) => [name, [measured(streams, storage, context)]]),
  )
  progress(1)
  const whole = (tokens: number): number[] => [
    (model.layers * cacheBytes(streams, { batch: 1, capacity: tokens, storage: storages.float16 })) / GiB,
  ]
  return {
    metrics: {
      elements: [Object.values(streams).reduce((sum, [heads, width]) => sum + heads * width, 0)],
      ...perToken,
      at1k: whole(1024),
      at8k: whole(8192),
      at128k: whole(131_072),
    },
    facts: {
      model: model.title,
      layers: model.layers,
      heads: model.heads,
      tokensAllocated: allocated(streams, storages.float16, context),
      wholeContexts: 'computed by the code that allocates, not allocated',
    },
    device: { ...device.describe() },
  }
}
