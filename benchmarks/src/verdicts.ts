import type { Task } from './define-task.ts'
import { describeParams, type PlannedRun, planRuns } from './plan.ts'
import type { OkResult, Result, RunSpec, Verdict } from './result.ts'
import { canonicalJson } from './run-key.ts'

/** A metric of one method, at every seed of its task. */
export interface Series {
  readonly task: string
  readonly method: string
  readonly metric: string
  /** exactly these; by default the usual ones of the method */
  readonly params?: RunSpec['params']
  /** `wasm` by default */
  readonly backend?: string
  /** only runs that were measured against these peers too */
  readonly peers?: readonly string[]
}

/** A published statement, the series that test it here and the condition on their figures. */
export interface ClaimDefinition<Name extends string = string> {
  readonly id: string
  readonly claim: string
  readonly source: Verdict['source']
  readonly measured: string
  readonly series: Readonly<Record<Name, Series>>
  /** in words, what `holds` checks */
  readonly condition: string
  /** @param figures one value per seed, or all samples of a timing, by the names of `series` */
  holds(figures: Readonly<Record<Name, readonly number[]>>): boolean
}

/** Defines a claim. */
export function defineClaim<Name extends string>(claim: ClaimDefinition<Name>): ClaimDefinition {
  return claim
}

/** Whether a relation holds seed by seed. @throws RangeError when there are not equally many of both */
export function onEverySeed(
  a: readonly number[],
  b: readonly number[],
  relation: (a: number, b: number) => boolean,
): boolean {
  if (a.length !== b.length) throw new RangeError(`b: expected ${a.length} values like a, got ${b.length}`)
  return a.every((value, seed) => relation(value, b[seed] ?? Number.NaN))
}

/** The runs that a series is read from. @throws RangeError when the tasks have no such runs */
export function runsOfSeries(series: Series, tasks: readonly Task[], machineId: string): PlannedRun[] {
  const { task: id, method, params, backend = 'wasm', peers = [] } = series
  const usual = tasks.find((task) => task.id === id)?.methods[method]?.[0]
  const wanted = canonicalJson(params ?? usual)
  const selection = { tasks: [id], methods: [method], backends: [backend], peers }
  const runs = planRuns(tasks, selection, machineId).filter(({ spec }) => canonicalJson(spec.params) === wanted)
  if (runs.length === 0) throw new RangeError(`params: ${id} ${method} has no runs with ${wanted}`)
  return runs
}

/** The runs of all claims, each once. */
export function runsOfClaims(
  claims: readonly ClaimDefinition[],
  tasks: readonly Task[],
  machineId: string,
): PlannedRun[] {
  const runs = new Map<string, PlannedRun>()
  for (const series of claims.flatMap((claim) => Object.values(claim.series))) {
    for (const run of runsOfSeries(series, tasks, machineId)) runs.set(run.key, run)
  }
  return [...runs.values()]
}

function isMeasured(result: Result | undefined): result is OkResult {
  return result?.status === 'ok'
}

function describeConditions(results: readonly OkResult[]): string {
  const seeds = [...new Set(results.map(({ run }) => run.seed))].sort((a, b) => a - b)
  const backends = [...new Set(results.map(({ run }) => run.backend))]
  const params = [...new Set(results.map(({ run }) => describeParams(run.params)))].filter((text) => text !== '')
  const facts = ['steps', 'rounds', 'heldOutVectors'].flatMap((name) => {
    const values = [...new Set(results.flatMap(({ facts }) => facts[name] ?? []))]
    return values.length === 1 ? [`${name} ${values[0]}`] : []
  })
  return [
    `${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`,
    backends.join(', '),
    ...params,
    ...facts,
  ].join('; ')
}

/**
 * Judges a claim by its figures alone.
 * @param results by run key
 * @returns `not measured` unless every seed of every series has its figures
 */
export function judge(
  claim: ClaimDefinition,
  tasks: readonly Task[],
  machineId: string,
  results: ReadonlyMap<string, Result>,
): Verdict {
  const { id, source, condition } = claim
  const used: OkResult[] = []
  const figures: Record<string, number[]> = {}
  let missing = 0
  for (const [name, series] of Object.entries(claim.series)) {
    const found = runsOfSeries(series, tasks, machineId).map(({ key }) => results.get(key))
    const measured = found.filter(isMeasured)
    missing += found.length - measured.length
    figures[name] = measured.flatMap((result) => result.metrics[series.metric]?.samples ?? [])
    if (figures[name].length === 0) missing++
    used.push(...measured)
  }
  const unique = [...new Map(used.map((result) => [result.key, result])).values()]
  return {
    id,
    claim: claim.claim,
    source,
    measured: unique.length === 0 ? claim.measured : `${claim.measured} (${describeConditions(unique)})`,
    figures,
    condition,
    verdict: missing > 0 ? 'not measured' : claim.holds(figures) ? 'holds' : 'does not hold',
    results: unique.map(({ key }) => key),
  }
}
