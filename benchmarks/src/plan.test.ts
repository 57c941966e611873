import { describe, expect, it } from 'vitest'
import { describeParams, planRuns, type Selection } from './plan.ts'
import { tasks } from './sweep.fixture.ts'

const names = (selection: Selection): string[] =>
  planRuns(tasks, selection, 'm').map(({ spec }) => `${spec.method}${String(spec.params.ms ?? '')}-${spec.seed}`)

const [first, second] = tasks
const peered = [
  { ...first!, methods: { a: [{}] }, seeds: 1, peers: ['fake'] },
  { ...second!, methods: { a: [{}] }, seeds: 1 },
]

describe('planRuns', () => {
  it('plans every task, method, variant and seed once, with keys of their own', () => {
    const runs = planRuns(tasks, {}, 'm')
    expect(runs).toHaveLength(2 * 3 + 5 + 2)
    expect(new Set(runs.map(({ key }) => key)).size).toBe(runs.length)
  })

  it('plans all methods at the first seed before the next one', () => {
    expect(names({ tasks: ['test/steps'], seeds: 2 })).toEqual([
      'a150-0',
      'a151-0',
      'b150-0',
      'a150-1',
      'a151-1',
      'b150-1',
    ])
  })

  it('filters by method, parameter, exact seeds and usual parameters', () => {
    expect(names({ methods: ['a'], seed: [3], tasks: ['test/steps'] })).toEqual(['a150-3', 'a151-3'])
    expect(names({ params: { ms: '151' }, seeds: 1 })).toEqual(['a151-0'])
    expect(names({ tasks: ['test/steps'], seeds: 1, usualOnly: true })).toEqual(['a150-0', 'b150-0'])
    expect(names({ families: ['test'], backends: ['none'], methods: ['skip', 'fine'] })).toEqual(['skip-0', 'fine-0'])
  })

  it('plans one seed when quick, and marks it', () => {
    const runs = planRuns(tasks, { tasks: ['test/steps'], quick: true }, 'm')
    expect(runs.map(({ spec }) => [spec.seed, spec.quick])).toEqual([0, 0, 0].map((seed) => [seed, true]))
  })

  it('plans peers where the task has them, as runs of their own', () => {
    const [with_ = [], without = []] = [['fake'], []].map((peers) => planRuns(peered, { peers }, 'm'))
    expect(with_.map(({ spec }) => spec.peers)).toEqual([['fake'], undefined])
    expect(without.every(({ spec }) => !('peers' in spec))).toBe(true)
    expect(with_.map(({ key }, i) => key === without[i]?.key)).toEqual([false, true])
  })

  it('leaves out what a backend does not cover', () => {
    const covers = ({ method, backend }: { method: string; backend: string }): boolean =>
      method !== 'b' || backend !== 'none'
    const task = tasks.find(({ id }) => id === 'test/steps')
    const runs = planRuns([{ ...task!, covers }], { seeds: 1 }, 'm')
    expect(runs.map(({ spec }) => spec.method)).toEqual(['a', 'a'])
  })

  it('says which runs measure speed', () => {
    expect(planRuns(tasks, { tasks: ['test/timing'] }, 'm').every(({ timing }) => timing)).toBe(true)
  })

  it.each<[Selection, RegExp]>([
    [{ families: ['tset'] }, /family: unknown "tset"; known: test/],
    [{ tasks: ['steps'] }, /task: unknown "steps"; known: test\/faults, test\/steps, test\/timing/],
    [{ methods: ['c'] }, /method: unknown "c"; known: a, b, crash/],
    [{ backends: ['gpu'] }, /backend: unknown "gpu"; known: none/],
    [{ params: { m: '1' } }, /param: unknown "m"; known: ms/],
    [{ peers: ['torch'] }, /peers: unknown "torch"/],
    [{ methods: ['a'], tasks: ['test/faults'] }, /no task has a run/],
    [{ params: { ms: '7' } }, /no task has a run/],
  ])('refuses %j', (selection, message) => {
    expect(() => planRuns(tasks, selection, 'm')).toThrow(message)
    expect(() => planRuns(tasks, selection, 'm')).toThrow(RangeError)
  })

  it('reads parameters in one line', () => {
    expect(describeParams({ levels: [8, 5], bias: true, name: 'x' })).toBe('levels 8x5, bias true, name x')
    expect(describeParams({})).toBe('')
  })
})
