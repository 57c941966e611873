import { describe, expect, it } from 'vitest'
import { claims } from './claims.ts'
import { defineTask, type Task } from './define-task.ts'
import { exampleResult, failedResult } from './example-result.fixture.ts'
import type { Result } from './result.ts'
import { tasks as allTasks } from './tasks.ts'
import { defineClaim, judge, onEverySeed, runsOfClaims, runsOfSeries } from './verdicts.ts'

const task: Task = defineTask({
  id: 'test/example',
  family: 'test',
  title: 'Example',
  summary: 'An example.',
  methods: { a: [{}, { wide: true }], b: [{}] },
  backends: ['wasm', 'cpu'],
  metrics: { value: { title: 'value', unit: 'fraction', better: 'higher' } },
  seeds: 3,
  timing: false,
  sources: ['benchmarks/src/verdicts.test.ts', 'benchmarks/src/define-task.ts'],
  run: async () => ({ metrics: {}, device: {} }),
})
const series = (method: string): { task: string; method: string; metric: string } => ({
  task: 'test/example',
  method,
  metric: 'value',
})
const claim = defineClaim({
  id: 'a-above-b',
  claim: 'A is above B',
  source: { title: 'A paper', arxiv: '0000.00000', where: 'Table 1' },
  measured: 'a value',
  series: { a: series('a'), b: series('b') },
  condition: 'a above b at every seed',
  holds: ({ a, b }) => onEverySeed(a, b, (one, other) => one > other),
})

/** Results of both methods at three seeds. */
function stored(a: readonly number[], b: readonly number[]): Map<string, Result> {
  const results = new Map<string, Result>()
  for (const [method, values] of Object.entries({ a, b })) {
    for (const [seed, { spec, key }] of runsOfSeries(series(method), [task], 'm').entries()) {
      const value = values[seed]
      if (value === undefined) continue
      const metrics = { value: { title: '', unit: '', better: 'higher' as const, samples: [value] } }
      results.set(key, exampleResult(spec, { key, metrics, facts: { steps: 9 } }))
    }
  }
  return results
}

describe('judge', () => {
  it('says from figures alone whether a claim holds', () => {
    const holds = judge(claim, [task], 'm', stored([0.5, 0.6, 0.7], [0.4, 0.5, 0.6]))
    expect(holds.verdict).toBe('holds')
    expect(holds.figures).toEqual({ a: [0.5, 0.6, 0.7], b: [0.4, 0.5, 0.6] })
    expect(holds.results).toHaveLength(6)
    expect(holds.measured).toBe('a value (seeds 0, 1, 2; wasm; steps 9)')
    expect(judge(claim, [task], 'm', stored([0.5, 0.6, 0.7], [0.4, 0.6, 0.6])).verdict).toBe('does not hold')
  })

  it('judges nothing while a seed is missing or failed', () => {
    const missing = judge(claim, [task], 'm', stored([0.5, 0.6], [0.4, 0.5, 0.6]))
    expect(missing.verdict).toBe('not measured')
    expect(missing.figures.a).toEqual([0.5, 0.6])
    const results = stored([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    const [first] = results.keys()
    results.set(first!, failedResult())
    expect(judge(claim, [task], 'm', results).verdict).toBe('not measured')
    expect(judge(claim, [task], 'm', new Map()).measured).toBe('a value')
  })

  it('does not take results of another machine', () => {
    expect(judge(claim, [task], 'other', stored([1, 1, 1], [0, 0, 0])).verdict).toBe('not measured')
  })

  it('reads the usual parameters on wasm, or those that are named', () => {
    const params = (wanted?: Record<string, boolean>): unknown[] =>
      runsOfSeries({ ...series('a'), ...(wanted && { params: wanted }) }, [task], 'm').map(({ spec }) => spec.params)
    expect(params()).toEqual([{}, {}, {}])
    expect(params({ wide: true })).toEqual([{ wide: true }, { wide: true }, { wide: true }])
    expect(() => params({ wide: false })).toThrow(RangeError)
  })

  it('compares seed by seed only equally many values', () => {
    expect(() => onEverySeed([1], [1, 2], () => true)).toThrow(RangeError)
  })
})

describe('the claims', () => {
  it('have ids of their own and runs that exist, each planned once', () => {
    expect(new Set(claims.map(({ id }) => id)).size).toBe(claims.length)
    const runs = runsOfClaims(claims, allTasks, 'm')
    expect(new Set(runs.map(({ key }) => key)).size).toBe(runs.length)
    expect(runs.every(({ spec }) => spec.backend === 'wasm' && !spec.quick)).toBe(true)
  })

  it('read metrics that their tasks describe', () => {
    for (const { task: id, method, metric } of claims.flatMap((entry) => Object.values(entry.series))) {
      const found = allTasks.find((entry) => entry.id === id)
      expect(Object.keys(found?.metrics ?? {})).toContain(metric)
      expect(Object.keys(found?.methods ?? {})).toContain(method)
    }
  })

  it('rest on at least three seeds where they are about quality', () => {
    // Bytes are counted: no seed changes them.
    for (const entry of allTasks)
      if (!entry.timing && entry.id !== 'attention/cache') expect(entry.seeds).toBeGreaterThanOrEqual(3)
  })

  const verdictOf = (id: string, figures: Record<string, number[]>): boolean =>
    claims.find((entry) => entry.id === id)!.holds(figures)

  it('can hold and can fail', () => {
    expect(verdictOf('simvq-usage', { simvq: [0.9, 1, 1] })).toBe(true)
    expect(verdictOf('simvq-usage', { simvq: [0.89, 1, 1] })).toBe(false)
    expect(verdictOf('vq-collapse', { vq: [0.3, 0.5] })).toBe(true)
    expect(verdictOf('vq-collapse', { vq: [0.3, 0.51] })).toBe(false)
    expect(verdictOf('simvq-bias', { withBias: [1, 1], withoutBias: [0.8, 0.6] })).toBe(true)
    expect(verdictOf('simvq-bias', { withBias: [1, 1], withoutBias: [0.81, 0.6] })).toBe(false)
    expect(verdictOf('rotation-reconstruction', { rotation: [0.1, 0.2], vq: [0.2, 0.1] })).toBe(false)
    const sizes = { at1024: [4, 4], at4096: [3, 3], at16384: [2, 2] }
    expect(verdictOf('simvq-gains-by-size', { ...sizes, at65536: [1, 1.9] })).toBe(true)
    expect(verdictOf('simvq-gains-by-size', { ...sizes, at65536: [1, 2] })).toBe(false)
    const others = { vq: [0.2, 0.2], rotation: [0.2, 0.2] }
    expect(verdictOf('diveq-reconstruction', { diveq: [0.1, 0.1], ...others, nsvq: [0.2, 0.3] })).toBe(true)
    expect(verdictOf('diveq-reconstruction', { diveq: [0.1, 0.1], ...others, nsvq: [0.2, 0.1] })).toBe(false)
    const passed = { scaled: [0.2, 0.5], unscaled: [1, 1] }
    expect(verdictOf('rotation-starves', { ...passed, placed: [1.1, 0.8] })).toBe(true)
    expect(verdictOf('rotation-starves', { ...passed, placed: [1.1, 0.7] })).toBe(false)
    expect(verdictOf('order-heun', { order: [2.1, 1.9, 2.15] })).toBe(true)
    expect(verdictOf('order-heun', { order: [2.1, 1.9, 2.2] })).toBe(false)
    const few = { amed: [1, 1], multistep: [2, 2], ddim: [3, 3] }
    expect(verdictOf('few-calls', { ...few, heun: [4, 4] })).toBe(true)
    expect(verdictOf('few-calls', { ...few, heun: [4, 3] })).toBe(false)
    const [guided, naive] = [-5, -4, -3, -2].reduce<[Record<string, number[]>, Record<string, number[]>]>(
      ([low, high], level) => [
        { ...low, [`guided ${level}`]: [1, 1] },
        { ...high, [`naive ${level}`]: [2, 2] },
      ],
      [{ 'guided 0': [2, 2] }, { 'naive 0': [1, 1] }],
    )
    expect(verdictOf('upsample-guidance', { ...guided, ...naive })).toBe(true)
    expect(verdictOf('upsample-guidance', { ...guided, ...naive, 'naive -3': [2, 1] })).toBe(false)
    expect(verdictOf('upsample-guidance', { ...guided, ...naive, 'naive 0': [1, 2] })).toBe(false)
    expect(verdictOf('sampler-overhead', { ddim: [0.01, 0.02], heun: [0.05, 0.05] })).toBe(true)
    expect(verdictOf('sampler-overhead', { ddim: [0.01, 0.02], heun: [0.06, 0.05] })).toBe(false)
    expect(verdictOf('training-step', { speedup: [6, 7, 6, 8, 6] })).toBe(true)
    expect(verdictOf('training-step', { speedup: [6, 7, 4, 3, 4] })).toBe(false)
  })
})
