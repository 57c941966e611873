import { describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import type { RunSpec } from '../../../result.ts'
import { codebook } from './codebook.ts'
import { trainCodebook } from './train-codebook.ts'

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = { task: codebook.id, family: 'vq', method, params, seed: 0, backend: 'wasm', quick: true, version: 'v' }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const train = (method: string, params: RunSpec['params']): Promise<TaskOutcome> =>
  trainCodebook(context(method, { codebookSize: 256, ...params }, new AbortController().signal))

describe('vq/codebook', () => {
  it('measures all that the task describes, the same for the same seed', async () => {
    const [first, second] = [await train('vq', { mean: 1 }), await train('vq', { mean: 1 })]
    expect(first.metrics).toEqual(second.metrics)
    expect(Object.keys(first.metrics).sort()).toEqual(Object.keys(codebook.metrics).sort())
    expect(first.facts).toMatchObject({ steps: 100, heldOutVectors: 32_768 })
    expect(first.curves!.loss!.values).toHaveLength(100)
  })

  it.each(['diveq', 'ibq', 'optvq'])('trains the codes of %s', async (method) => {
    const { curves } = await train(method, { mean: 1 })
    const { values } = curves!.loss!
    expect(values.slice(-5).every(Number.isFinite)).toBe(true)
    expect(values.at(-1)!).toBeLessThan(values[0]!)
  })

  it('refuses a method it does not know', async () => {
    await expect(train('none', { mean: 0 })).rejects.toThrow(/^method: unknown "none"/)
  })

  it('tells codebooks that reach an off-centre cloud from those that do not', async () => {
    const usage = async (bias: boolean): Promise<number> => (await train('simvq', { mean: 1, bias })).metrics.usage![0]!
    expect(await usage(true)).toBeGreaterThan(await usage(false))
  })

  it('stops when told', async () => {
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(trainCodebook(context('vq', { mean: 0, codebookSize: 256 }, stop.signal))).rejects.toThrow('enough')
  })
})
