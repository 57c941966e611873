import { describe, expect, it } from 'vitest'
import { claims } from './claims.ts'
import { exampleResult } from './example-result.fixture.ts'
import type { Result } from './result.ts'
import { targets } from './targets.ts'
import { tasks } from './tasks.ts'
import { judge, runsOfSeries } from './verdicts.ts'

const byId = (id: string): (typeof targets)[number] => targets.find((target) => target.id === id)!

/** Results of a target's runs with these samples. */
function results(target: (typeof targets)[number], samples: number[]): Map<string, Result> {
  const series = target.series.figure!
  const metric = { title: '', unit: 'ratio', better: 'lower' as const, samples }
  return new Map(
    runsOfSeries(series, tasks, 'm').map(({ spec, key }) => [
      key,
      exampleResult(spec, { key, metrics: { [series.metric]: metric } }),
    ]),
  )
}

describe('targets', () => {
  it('have names of their own, a run against PyTorch and a metric that it measures', () => {
    const ids = [...targets, ...claims].map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const target of targets) {
      const series = target.series.figure!
      const runs = runsOfSeries(series, tasks, 'm')
      expect(runs).toHaveLength(1)
      expect(runs[0]?.spec.peers).toEqual(['torch'])
      expect(tasks.find(({ id }) => id === series.task)?.metrics).toHaveProperty(series.metric)
    }
  })

  it('hold by the median, on the right side of their bound', () => {
    const most = byId('kernels-nearest-code')
    expect(judge(most, tasks, 'm', results(most, [0.5, 0.6, 9])).verdict).toBe('holds')
    expect(judge(most, tasks, 'm', results(most, [0.5, 0.61, 9])).verdict).toBe('does not hold')
    const least = byId('kernels-matmul')
    expect(judge(least, tasks, 'm', results(least, [2.5])).verdict).toBe('holds')
    expect(judge(least, tasks, 'm', results(least, [2.4])).verdict).toBe('does not hold')
    expect(least.condition).toBe('a median of at least 2.5 x as fast as TensorFlow.js')
    expect(judge(least, tasks, 'm', new Map()).verdict).toBe('not measured')
  })
})
