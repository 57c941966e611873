import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { TaskContext, TaskOutcome } from '../../../define-task.ts'
import type { RunSpec } from '../../../result.ts'
import { exactEnd, meanAt, type Point, scattered, sensitivity } from './exact-flow.ts'
import { fitOrder, fitRange } from './fit-order.ts'
import { measureOrder } from './measure-order.ts'
import { order } from './order.ts'

const golden = join(import.meta.dirname, '../../../../../packages/diffusion/src/golden/diffusion.json')

/** What the reference recorded of the six Gaussians. */
function recorded(id: string): Record<string, unknown> {
  const { records } = JSON.parse(readFileSync(golden, 'utf8')) as { records: { id: string; expected: never }[] }
  return records.find((record) => record.id === id)!.expected
}

describe('the exact flow', () => {
  const { start, denoiserAt } = recorded('gmm-definition') as {
    start: Point[]
    denoiserAt: Record<string, Point[]>
  }
  const { end, sensitivity: sensitivities } = recorded('gmm-exact-0.02') as { end: Point[]; sensitivity: number[] }

  it('denoises as recorded', () => {
    for (const sigma of [0.02, 0.3, 1, 5])
      denoiserAt['x']!.forEach((x, i) => {
        const wanted = denoiserAt[`sigma${sigma}`]![i]!
        meanAt(scattered, x, sigma).forEach((value, j) => expect(Math.abs(value - wanted[j]!)).toBeLessThan(1e-12))
      })
  })

  it('ends where another integration did, and knows what is sensitive', () => {
    start.forEach((from, i) => {
      exactEnd(scattered, from).forEach((value, j) => expect(Math.abs(value - end[i]![j]!)).toBeLessThan(1e-10))
      expect(Math.abs(sensitivity(scattered, from) - sensitivities[i]!)).toBeLessThan(1e-4)
    })
  })

  it('says when a tolerance is out of reach', () => {
    expect(() => exactEnd(scattered, start[0]!, 0)).toThrow(/^tolerance/)
  })
})

describe('the fit of an order', () => {
  const powers = (p: number, floor: number): { steps: number; error: number }[] =>
    [8, 16, 32, 64, 128].map((steps) => ({ steps, error: steps ** -p + floor }))

  it('takes the finest two octaves above the floor', () => {
    expect(fitRange(powers(2, 0), 1e-9).map(({ steps }) => steps)).toEqual([32, 64, 128])
    expect(fitRange(powers(2, 0), 2e-5).map(({ steps }) => steps)).toEqual([16, 32, 64])
    expect(fitRange(powers(2, 0), 1)).toEqual([])
  })

  it('finds the power, or nothing where too few points are left', () => {
    expect(fitOrder(fitRange(powers(2.5, 0), 1e-9))).toBeCloseTo(2.5, 10)
    expect(fitOrder(fitRange(powers(2, 0), 1e-3))).toBeUndefined()
    expect(fitOrder([1, 2, 4].map((steps) => ({ steps, error: NaN })))).toBeUndefined()
  })
})

function context(method: string, params: RunSpec['params'], signal: AbortSignal): TaskContext {
  const run = {
    task: order.id,
    family: 'diffusion',
    method,
    params,
    seed: 0,
    backend: 'wasm',
    quick: true,
    version: 'v',
  }
  return { run, signal, progress() {}, artifact: () => Promise.reject(new Error('no picture is drawn')) }
}

const measure = (method: string, params: RunSpec['params'] = {}): Promise<TaskOutcome> =>
  measureOrder(context(method, params, new AbortController().signal))

describe('diffusion/order', () => {
  it('measures what it describes, the same for the same seed', async () => {
    const [first, second] = [await measure('heun'), await measure('heun')]
    expect(first.metrics).toEqual(second.metrics)
    for (const name of Object.keys(first.metrics)) expect(order.metrics).toHaveProperty(name)
    expect(first.metrics.order![0]).toBeCloseTo(2, 0)
    expect(first.curves!.error!.steps).toEqual([8, 11, 16, 23, 32, 45, 64])
  })

  it('trains AMED where calls are few, which then needs fewer', async () => {
    const [amed, ddim] = [await measure('amed'), await measure('ddim')]
    expect(Object.keys(amed.metrics)).toEqual(['calls4', 'calls6', 'calls10'])
    expect(amed.metrics.calls6![0]).toBeLessThan(ddim.metrics.calls6![0]!)
    expect(ddim.metrics.order![0]).toBeCloseTo(1, 1)
  })

  it('refuses a method it does not know, and stops when told', async () => {
    await expect(measure('none')).rejects.toThrow(/^method: unknown "none"/)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(measureOrder(context('ddim', {}, stop.signal))).rejects.toThrow('enough')
  })
})
