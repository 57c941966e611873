import { cacheBytes, float16, float32, fp8, int8, latentFp8, type Storage, type Streams } from '@x/attention'
import { models, variants } from '@x/benchmarks/models'

/** How numbers are kept; of a latent and its key each in its own way in `fp8`. */
const storages: Readonly<Record<string, { readonly title: string; of(streams: Streams): Storage }>> = {
  float32: { title: 'float32', of: () => float32() },
  float16: { title: 'float16', of: () => float16() },
  int8: { title: 'int8, a scale for each token and head', of: () => int8() },
  fp8: {
    title: 'fp8, a scale for each 64 numbers; latents as FlashMLA',
    of: ({ tokens }) => (tokens ? latentFp8({ rank: 512, ropeDim: tokens[1] - 512 }) : fp8({ group: 64 })),
  },
}

/** What the calculator multiplies: bytes of one token in one layer, by model, variant and storage. */
export interface CacheSizes {
  readonly models: readonly { readonly id: string; readonly title: string; readonly layers: number }[]
  readonly variants: readonly { readonly id: string; readonly title: string }[]
  readonly storages: readonly { readonly id: string; readonly title: string }[]
  readonly bytes: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>>
}

/** The sizes, by the code that makes the caches. */
export function cacheSizes(): CacheSizes {
  const each = <T, R>(record: Readonly<Record<string, T>>, value: (entry: T) => R): Record<string, R> =>
    Object.fromEntries(Object.entries(record).map(([id, entry]) => [id, value(entry)]))
  return {
    models: Object.entries(models).map(([id, { title, layers }]) => ({ id, title, layers })),
    variants: Object.entries(variants).map(([id, { title }]) => ({ id, title })),
    storages: Object.entries(storages).map(([id, { title }]) => ({ id, title })),
    bytes: each(models, (model) =>
      each(variants, ({ streams }) =>
        each(storages, ({ of }) => cacheBytes(streams(model), { batch: 1, capacity: 1, storage: of(streams(model)) })),
      ),
    ),
  }
}
