import { cacheBytes } from '@x/attention'
import { describe, expect, it } from 'vitest'
import type { Task, TaskContext, TaskOutcome } from '../../define-task.ts'
import type { RunSpec } from '../../result.ts'
import { cache } from './cache/cache.ts'
import { models, variants } from './cache/models.ts'
import { decode } from './decode/decode.ts'
import { memory } from './memory/memory.ts'

function context(task: Task, method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = {
    task: task.id,
    family: 'attention',
    method,
    params,
    seed: 0,
    backend: 'wasm',
    quick: true,
    version: 'v',
  }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const run = (task: Task, method: string, params: RunSpec['params']): Promise<TaskOutcome> =>
  task.run(context(task, method, params, new AbortController().signal))

describe('attention/cache', () => {
  it('finds the published sizes in the buffers of each variant', async () => {
    const at = async (method: string, model = 'deepseek-v2'): Promise<Record<string, readonly number[]>> => {
      const { metrics } = await run(cache, method, { model })
      expect(Object.keys(metrics).sort()).toEqual(Object.keys(cache.metrics).sort())
      return metrics
    }
    const published = { mha: [32_768, 480], 'gqa-8': [2048, 30], mqa: [256, 3.75], mla: [576, 8.4375] }
    for (const [method, [elements, gib]] of Object.entries(published)) {
      const metrics = await at(method)
      expect(metrics['elements']).toEqual([elements])
      expect(metrics['float32']).toEqual([4 * elements!])
      expect(metrics['float16']).toEqual([2 * elements!])
      expect(metrics['at128k']![0]).toBeCloseTo(gib!, 9)
    }
    const own = await at('own')
    expect(own['elements']).toEqual([576])
    expect(own['fp8']).toEqual([656])
    expect((await at('own', 'llama-3-8b'))['elements']).toEqual([2048])
  })

  it('has every variant for every model', () => {
    for (const model of Object.values(models))
      for (const { streams } of Object.values(variants))
        expect(cacheBytes(streams(model), { batch: 1, capacity: 1 })).toBeGreaterThan(0)
  })
})

describe('attention/decode', () => {
  it.each(Object.keys(decode.methods))('measures what it describes with %s', async (method) => {
    const { metrics } = await run(decode, method, { context: 24, heads: 4 })
    expect(Object.keys(metrics).sort()).toEqual(Object.keys(decode.metrics).sort())
    for (const samples of Object.values(metrics)) for (const value of samples) expect(value).toBeGreaterThan(0)
  })

  it('has a cache for MLA that is less than a twentieth of MHA’s', async () => {
    const [mha, mla] = [
      await run(decode, 'mha', { context: 8, heads: 16 }),
      await run(decode, 'mla', { context: 8, heads: 16 }),
    ]
    expect(mha.metrics.cache![0]! / mla.metrics.cache![0]!).toBeGreaterThan(20)
  })
})

describe('attention/memory', () => {
  it.each(Object.keys(memory.methods))('measures what it describes with %s', async (method) => {
    const { metrics } = await run(memory, method, { length: 256 })
    expect(metrics.time![0]).toBeGreaterThan(0)
    if (process.platform === 'linux') expect(metrics.memory![0]).toBeGreaterThanOrEqual(0)
  })
})

it('tasks refuse what they do not know by name, and stop when told', async () => {
  await expect(run(cache, 'none', { model: 'deepseek-v2' })).rejects.toThrow(/^method: unknown "none"/)
  await expect(run(cache, 'mha', { model: 'none' })).rejects.toThrow(/^model: unknown "none"/)
  await expect(run(decode, 'none', { context: 8, heads: 4 })).rejects.toThrow(/^method: unknown "none"/)
  await expect(run(memory, 'none', { length: 8 })).rejects.toThrow(/^method: unknown "none"/)
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  for (const [task, method, params] of [
    [cache, 'mha', { model: 'deepseek-v2' }],
    [decode, 'mqa', { context: 8, heads: 4 }],
    [memory, 'tiled', { length: 64 }],
  ] as const)
    // prettier-ignore
    await expect(task.run(context(task, method, params, stop.signal))).rejects.toThrow('enough')
})
