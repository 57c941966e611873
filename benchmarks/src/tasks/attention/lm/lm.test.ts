import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import { lm } from './lm.ts'
import { loadText } from './text.ts'
import { trainLm } from './train-lm.ts'
import { cacheElements, type Comparison, dim, elementsOf, layers, makeModel, methodsOf } from './variants.ts'

function context(method: string, comparison: string, signal = new AbortController().signal): TaskContext {
  const params = { comparison }
  const run = { task: lm.id, family: 'attention', method, params, seed: 0, backend: 'wasm', quick: true, version: 'v' }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const train = (method: string, comparison = 'equal cache'): Promise<TaskOutcome> => trainLm(context(method, comparison))

describe('attention/lm', () => {
  beforeAll(async () => void (await useBackend('wasm')))

  it('holds every tenth chapter out', () => {
    const { train, heldOut } = loadText()
    expect(train).toMatch(/^Loomings\.\n\nCall me Ishmael\./)
    expect(heldOut).toMatch(/^A Bosom Friend\./)
    expect(train).not.toContain(heldOut.slice(0, 200))
    expect(heldOut.length / (train.length + heldOut.length)).toBeCloseTo(0.078, 3)
  })

  it.each(['equal cache', 'usual sizes'] as Comparison[])('gives all models as many parameters: %s', (comparison) => {
    const sizes = methodsOf(comparison).map((method) => {
      const model = makeModel(method, comparison, 81, key(0))
      const elements = elementsOf(model.blocks[0]!.attention)
      if (comparison === 'equal cache') {
        expect(elements).toBeLessThanOrEqual(cacheElements)
        expect(elements).toBeGreaterThanOrEqual(cacheElements - 4)
      }
      expect([model.dim, model.blocks.length]).toEqual([dim, layers])
      const { size } = model
      model.dispose()
      return size
    })
    expect(Math.max(...sizes) / Math.min(...sizes)).toBeLessThan(1.002)
  })

  it('learns, and finds the same for the same seed', async () => {
    const [first, second] = [await train('mqa'), await train('mqa')]
    expect(first.metrics).toEqual(second.metrics)
    expect(Object.keys(first.metrics)).toEqual(Object.keys(lm.metrics))
    const { values } = first.curves!.loss!
    expect(values[0]).toBeLessThan(Math.log2(81))
    expect(first.metrics.bits![0]).toBeLessThan(values[0]!)
    expect(first.metrics.cache).toEqual([4 * cacheElements])
    expect(first.facts).toMatchObject({ steps: 30, cacheElements: 64 })
  })

  it('refuses methods it does not know, and stops when told', async () => {
    await expect(train('mqa-partial', 'usual sizes')).rejects.toThrow(/^method: usual sizes has no "mqa-partial"/)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(trainLm(context('mha', 'usual sizes', stop.signal))).rejects.toThrow('enough')
  })
})
