import { describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { planRuns } from '../../../plan.ts'
import type { RunSpec } from '../../../result.ts'
import { levelsOfBits } from './quantizers.ts'
import { scale } from './scale.ts'
import { trainScale } from './train-scale.ts'

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = { task: scale.id, family: 'vq', method, params, seed: 0, backend: 'wasm', quick: true, version: 'v' }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const train = (method: string, codebookSize = 256): Promise<TaskOutcome> =>
  trainScale(context(method, { codebookSize }, new AbortController().signal))

describe('vq/scale', () => {
  it('counts on 20 vectors for each code', async () => {
    expect((await train('fsq', 4096)).facts).toMatchObject({ steps: 50, codes: 4375, heldOutVectors: 87_500 })
  })

  it('finds the same for the same seed', async () => {
    const [first, second] = [await train('simvq'), await train('simvq')]
    expect(first.metrics.usage).toEqual(second.metrics.usage)
    expect(first.metrics.relativeError).toEqual(second.metrics.relativeError)
    expect(first.facts).toMatchObject({ codes: 256, heldOutVectors: 32_768 })
  })

  it.each(Object.keys(scale.methods))('measures what the task describes with %s', async (method) => {
    const { metrics, curves } = await train(method)
    const known = Object.keys(scale.metrics)
    expect(known).toEqual(expect.arrayContaining(Object.keys(metrics)))
    expect(Object.keys(metrics)).toEqual(expect.arrayContaining(known.filter((name) => name !== 'memory')))
    expect(metrics.usage![0]).toBeGreaterThan(0)
    const { values } = curves!.loss!
    expect(values.at(-1)!).toBeLessThan(values[0]!)
  })

  it('searches the largest codebooks on GPUs only', () => {
    const methodsOf = (backend: string): string[] =>
      planRuns([scale], { backends: [backend], params: { codebookSize: '262144' }, seeds: 1 }, 'm').map(
        ({ spec }) => spec.method,
      )
    expect(methodsOf('wasm')).toEqual(['fsq', 'lfq', 'bsq'])
    expect(methodsOf('tensorflow-gpu')).toEqual(['vq', 'simvq', 'fsq', 'lfq', 'bsq'])
  })

  it('has levels for FSQ near each size', () => {
    for (const [bits, levels] of Object.entries(levelsOfBits)) {
      const ratio = levels.reduce((product, level) => product * level) / 2 ** Number(bits)
      expect(ratio).toBeGreaterThan(0.9)
      expect(ratio).toBeLessThanOrEqual(1.1)
    }
  })

  it('refuses sizes and methods it does not know', async () => {
    await expect(train('none')).rejects.toThrow(/^method: unknown "none"/)
    await expect(train('vq', 300)).rejects.toThrow(/^codebookSize: expected one of 256, .*, got 300/)
  })

  it('stops when told', async () => {
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(trainScale(context('vq', { codebookSize: 256 }, stop.signal))).rejects.toThrow('enough')
  })
})
