import { describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import type { RunSpec } from '../../../result.ts'
import { measureNfe } from './measure-nfe.ts'
import { nfe } from './nfe.ts'

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = { task: nfe.id, family: 'diffusion', method, params, seed: 0, backend: 'wasm', quick: true, version: 'v' }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const measure = (method: string, params: RunSpec['params']): Promise<TaskOutcome> =>
  measureNfe(context(method, params, new AbortController().signal))

describe('diffusion/nfe', () => {
  it('measures all that it describes, the same for the same seed', async () => {
    const [first, second] = [await measure('ddim', { nfe: 8 }), await measure('ddim', { nfe: 8 })]
    expect(first.metrics).toEqual(second.metrics)
    expect(Object.keys(first.metrics).sort()).toEqual(Object.keys(nfe.metrics).sort())
  })

  it('comes near to the data with more calls, and sooner with a better sampler', async () => {
    const far = (await measure('ddim', { nfe: 4 })).metrics
    const [{ metrics: near, facts }, { metrics: better }] = [
      await measure('ddim', { nfe: 24 }),
      await measure('unipc', { nfe: 8, order: 2 }),
    ]
    for (const set of ['ring', 'moons', 'rings', 'checkerboard']) {
      const name = `${set}Wasserstein`
      expect(near[name]![0]).toBeLessThan(far[name]![0]!)
      expect(better[name]![0]).toBeLessThan(far[name]![0]!)
      expect(near[name]![0]).toBeLessThan(4 * Number(facts![`${set}Floor`]))
    }
  })

  it('trains AMED for every set', async () => {
    const [amed, dpm2] = [await measure('amed', { nfe: 4 }), await measure('dpm2', { nfe: 4 })]
    for (const set of ['ring', 'moons', 'rings', 'checkerboard'])
      expect(amed.metrics[`${set}Wasserstein`]![0]).toBeLessThan(dpm2.metrics[`${set}Wasserstein`]![0]!)
  })

  it('asks for no more calls than a method can make', () => {
    const covered = (method: string, params: RunSpec['params']): boolean =>
      nfe.covers!({ method, params, backend: 'wasm' })
    expect(covered('heun', { nfe: 4 })).toBe(true)
    expect(covered('pndm', { nfe: 6 })).toBe(false)
    expect(covered('dpm-solver-singlestep', { nfe: 8, order: 3 })).toBe(false)
    expect(covered('amed', { nfe: 32 })).toBe(false)
  })

  it('refuses what cannot be made, and stops when told', async () => {
    await expect(measure('none', { nfe: 4 })).rejects.toThrow(/^method: unknown "none"/)
    await expect(measure('pndm', { nfe: 6 })).rejects.toThrow(/^nfe: pndm cannot make 6 calls/)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(measureNfe(context('ddim', { nfe: 4 }, stop.signal))).rejects.toThrow('enough')
  })
})
