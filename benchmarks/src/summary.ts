import type { OkResult, Result, RunSpec } from './result.ts'
import { canonicalJson } from './run-key.ts'
import { mean, standardDeviation } from './statistics.ts'

/** One metric over the seeds of a group. */
export interface MetricSummary {
  readonly title: string
  readonly unit: string
  readonly better: 'higher' | 'lower' | 'neither'
  readonly mean: number
  /** sample standard deviation over the values (n - 1); 0 for one */
  readonly standardDeviation: number
  readonly min: number
  readonly max: number
  /** the values summarised: one per seed, or all samples of a timing */
  readonly values: readonly number[]
}

/** The runs that differ in their seed only. */
export interface Summary {
  readonly task: string
  readonly family: string
  readonly method: string
  readonly params: RunSpec['params']
  readonly backend: string
  readonly machineId: string
  readonly version: string
  readonly quick: boolean
  readonly seeds: readonly number[]
  readonly metrics: Readonly<Record<string, MetricSummary>>
  readonly results: readonly OkResult[]
}

/** Puts results together by what a predicate key says, in the order of their first one. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  return [...Map.groupBy(items, keyOf).values()]
}

function summariseMetric(name: string, results: readonly OkResult[]): MetricSummary | undefined {
  const metrics = results.flatMap((result) => result.metrics[name] ?? [])
  const first = metrics[0]
  if (first === undefined) return undefined
  const values = metrics.flatMap(({ samples }) => samples)
  return {
    title: first.title,
    unit: first.unit,
    better: first.better,
    mean: mean(values),
    standardDeviation: standardDeviation(values),
    min: Math.min(...values),
    max: Math.max(...values),
    values,
  }
}

/** Sums up the successful results by task, method, parameters, backend, machine and version of the code. */
export function summarise(results: readonly Result[]): Summary[] {
  const measured = results.filter((result): result is OkResult => result.status === 'ok')
  return groupBy(measured, ({ run, environment }) =>
    canonicalJson([run.task, run.method, run.params, run.backend, run.version, run.quick, environment.machineId]),
  ).flatMap((group) => {
    const bySeed = [...group].sort((a, b) => a.run.seed - b.run.seed)
    const [first] = bySeed
    if (first === undefined) return []
    const names = [...new Set(bySeed.flatMap(({ metrics }) => Object.keys(metrics)))]
    const { task, family, method, params, backend, version, quick } = first.run
    const metrics = Object.fromEntries(
      names.flatMap((name) => {
        const summary = summariseMetric(name, bySeed)
        return summary === undefined ? [] : [[name, summary]]
      }),
    )
    const { machineId } = first.environment
    const seeds = bySeed.map(({ run }) => run.seed)
    return [{ task, family, method, params, backend, machineId, version, quick, seeds, metrics, results: bySeed }]
  })
}
