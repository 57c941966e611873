import * as tf from '@tensorflow/tfjs-core'
import type { Attention, KvCache } from '@x/attention'
import { type Key, key } from '@x/core-gpu'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { openBackend } from '../../../open-backend.ts'
import { dim, makeAttention } from './attentions.ts'

/** tokens that are read one after the other in a round */
const tokensOfRound = 8

/** Puts random tokens into a cache: what they are makes no difference to the work. */
function fill(cache: KvCache, count: number, from: Key): void {
  const keys = from.split(Object.keys(cache.streams).length)
  tf.tidy(() => {
    const tokens = Object.entries(cache.streams).map(([name, [heads, width]], i) => [
      name,
      keys[i]!.normal<tf.Rank.R4>([1, heads, count, width]),
    ])
    cache.append(Object.fromEntries(tokens) as Record<string, tf.Tensor4D>)
  })
}

async function seconds(work: () => tf.Tensor): Promise<number> {
  const begun = performance.now()
  const made = work()
  await made.data()
  made.dispose()
  return (performance.now() - begun) / 1000
}

/** Times tokens through a cache, and once more without it. */
export async function measureDecode({ run, signal, progress }: TaskContext): Promise<TaskOutcome> {
  const device = await openBackend(run.backend)
  const context = Number(run.params.context)
  const [rounds, reruns] = run.quick ? [2, 1] : [12, context > 4096 ? 2 : 5]
  const [weightsKey, cacheKey, dataKey] = key(run.seed).split(3) as [Key, Key, Key]
  const attention: Attention = makeAttention(run.method, Number(run.params.heads), weightsKey)
  const cache = attention.createCache({ batch: 1, capacity: context + tokensOfRound })
  fill(cache, context, cacheKey)
  const token = dataKey.normal<tf.Rank.R3>([1, 1, dim])
  const samples = { tokensPerSecond: [] as number[], rerun: [] as number[] }
  for (let round = -2; round < rounds; round++) {
    signal.throwIfAborted()
    let spent = 0
    for (let i = 0; i < tokensOfRound; i++) spent += await seconds(() => attention.forward(token, { cache }))
    cache.truncate(context)
    if (round >= 0) samples.tokensPerSecond.push(tokensOfRound / spent)
    progress((0.5 * (round + 3)) / (rounds + 2), 'through the cache')
  }
  const prefix = dataKey.normal<tf.Rank.R3>([1, context + 1, dim])
  const last = (): tf.Tensor => tf.tidy(() => tf.slice(attention.forward(prefix), [0, context, 0], [1, 1, dim]))
  // A first pass grows the heap.
  for (let round = -1; round < reruns; round++) {
    signal.throwIfAborted()
    const spent = await seconds(last)
    if (round >= 0) samples.rerun.push(1 / spent)
    progress(0.5 + (0.5 * (round + 2)) / (reruns + 1), 'computed again')
  }
  const parameters = Object.values(attention.parameters()).reduce((sum, { size }) => sum + size, 0)
  const perToken = cache.bytes / cache.capacity
  tf.dispose([token, prefix])
  cache.dispose()
  attention.dispose()
  return {
    metrics: { ...samples, cache: [perToken], moved: [(4 * parameters + perToken * (context + 1)) / 1e6] },
    facts: { context, rounds, reruns, tokensOfRound, parameters, dim, heads: attention.heads },
    device: { ...device.describe() },
  }
}
