import { describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import type { RunSpec } from '../../../result.ts'
import { origin } from './origin.ts'
import { trainOrigin } from './train-origin.ts'

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = { task: origin.id, family: 'vq', method, params, seed: 0, backend: 'wasm', quick: true, version: 'v' }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const train = (method: string, params: RunSpec['params']): Promise<TaskOutcome> =>
  trainOrigin(context(method, params, new AbortController().signal))

const passed = async (params: RunSpec['params']): Promise<number> =>
  (await train('rotation', { start: 'uniform', ...params })).metrics.passedGradient![0]!

describe('vq/origin', () => {
  it('measures all that the task describes, the same for the same seed', async () => {
    const run = { mean: 1, start: 'uniform' }
    const [first, second] = [await train('vq', run), await train('vq', run)]
    expect(first.metrics).toEqual(second.metrics)
    expect(Object.keys(first.metrics).sort()).toEqual(Object.keys(origin.metrics).sort())
    expect(first.metrics.passedGradient![0]).toBeCloseTo(1, 5)
    expect(first.curves!.passedGradient!.steps.slice(0, 12)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30])
  })

  it.each(['simvq', 'cosine-vq'])('trains with %s', async (method) => {
    const { values } = (await train(method, { mean: 1, start: 'uniform' })).curves!.loss!
    expect(values.at(-1)!).toBeLessThan(values[0]!)
  })

  it('shows that short codes starve the encoder under scaled rotation, and what helps', async () => {
    expect(await passed({ mean: 0, scaled: true })).toBeLessThan(0.5)
    expect(await passed({ mean: 0, scaled: false })).toBeCloseTo(1, 4)
    expect(await passed({ mean: 0, scaled: true, start: 'k-means' })).toBeGreaterThan(0.8)
    expect(await passed({ mean: 10, scaled: true })).toBeGreaterThan(0.9)
  })

  it('refuses a method it does not know', async () => {
    await expect(train('none', { mean: 0 })).rejects.toThrow(/^method: unknown "none"/)
  })

  it('stops when told', async () => {
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(trainOrigin(context('vq', { mean: 0, start: 'uniform' }, stop.signal))).rejects.toThrow('enough')
  })
})
