import { describe, expect, it } from 'vitest'
import type { TaskContext } from '../../../define-task.ts'
import type { RunSpec } from '../../../result.ts'
import { levels, metricOf } from './levels.ts'
import { measureFields } from './measure-fields.ts'
import { upsampleField } from './upsample-field.ts'

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = { task: upsampleField.id, family: 'diffusion', method, params, seed: 0, backend: 'wasm' }
  return {
    run: { ...run, quick: true, version: 'v' },
    signal,
    progress() {},
    artifact: () => Promise.reject(new Error('no picture is drawn')),
  }
}

async function errors(method: string, params: RunSpec['params'] = {}): Promise<number[]> {
  const { metrics } = await measureFields(context(method, params, new AbortController().signal))
  expect(Object.keys(metrics).sort()).toEqual(Object.keys(upsampleField.metrics).sort())
  return levels.map((level) => metrics[metricOf(level)]![0]!)
}

describe('diffusion/upsample-field', () => {
  it('shows that guidance helps where noise is strong, and what it needs', async () => {
    const naive = await errors('naive')
    expect(await errors('naive')).toEqual(naive)
    const [full, strong, noTau, noPower] = [
      await errors('upsample', { weight: 1, without: 'nothing' }),
      await errors('upsample', { weight: 1.2, without: 'nothing' }),
      await errors('upsample', { weight: 1, without: 'tau' }),
      await errors('upsample', { weight: 1, without: 'P' }),
    ]
    levels.forEach((level, i) => {
      if (level > -2) return
      expect(full[i]).toBeLessThan(naive[i]!)
      expect(full[i]).toBeLessThan(strong[i]!)
      expect(noTau[i]).toBeGreaterThan(naive[i]!)
      expect(noPower[i]).toBeGreaterThan(naive[i]!)
    })
    expect(full.at(-1)).toBeGreaterThan(naive.at(-1)!)
  })

  it('refuses what it does not know, and stops when told', async () => {
    await expect(errors('none')).rejects.toThrow(/^method: unknown "none"/)
    await expect(errors('upsample', { weight: 1, without: 'all' })).rejects.toThrow(/^without: unknown "all"/)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(measureFields(context('naive', {}, stop.signal))).rejects.toThrow('enough')
  })
})
