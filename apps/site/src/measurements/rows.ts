import { type MetricSummary, summarise, type Summary } from '@x/benchmarks/results'
import type { OkResult, Result, RunSpec } from '@x/benchmarks/result'
import type { tasks } from '@x/benchmarks/tasks'
import type { Picture } from './pictures.ts'

/** What the pages need to know of a task. */
export type TaskDescription = Pick<
  (typeof tasks)[number],
  'id' | 'family' | 'title' | 'summary' | 'methods' | 'backends' | 'metrics' | 'seeds'
> & {
  /** its place among the tasks */
  readonly order: number
  /** runs of those that methods and backends make up which it does not ask for */
  readonly leftOut?: readonly Pick<RunSpec, 'method' | 'params' | 'backend'>[]
}

/** A stored result as the pages show it. */
export interface Entry {
  readonly result: Result
  /** the command that does it again */
  readonly reproduce: string
  readonly pictures: readonly Picture[]
}

type Status = Result['status'] | 'not run'

/** What one method did on one machine: the runs that differ in their seed only. */
export interface Row {
  readonly task: string
  readonly method: string
  readonly params: RunSpec['params']
  readonly backend: string
  /** null where nothing ran */
  readonly machineId: string | null
  readonly version: string | null
  readonly quick: boolean
  /** one for each run that was tried, in the order of the seeds */
  readonly statuses: readonly Status[]
  /** why runs failed or were skipped, each reason once */
  readonly notes: readonly string[]
  readonly seeds: readonly number[]
  readonly metrics: Summary['metrics']
  readonly entries: readonly Entry[]
}

/**
 * A method's id: runs name methods by the short name, `simvq` for `vq/simvq`.
 * @param known the described methods: a short name that isn't one of the family's may be another's, if only one has it
 */
export function methodId(family: string, name: string, known: readonly string[]): string {
  const own = name.includes('/') ? name : `${family}/${name}`
  if (known.includes(own)) return own
  const namesakes = known.filter((id) => id.endsWith(`/${name}`))
  return namesakes.length === 1 ? namesakes[0]! : own
}

/** Text that is equal for equal values. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Puts a task's results together, one row for each method, parameters, backend and machine; never across machines. */
export function rowsOf(task: TaskDescription, entries: readonly Entry[], known: readonly string[] = []): Row[] {
  const own = entries.filter((entry) => entry.result.run.task === task.id)
  const groups = Map.groupBy(own, ({ result: { run, environment } }) =>
    canonical([run.method, run.params, run.backend, run.quick, run.version, environment.machineId]),
  )
  const tried = [...groups.values()].map((group) => rowOf(group, known))
  const order = Object.keys(task.methods).map((name) => methodId(task.family, name, known))
  const place = (method: string): number => (order.includes(method) ? order.indexOf(method) : order.length)
  return [...tried, ...missing(task, tried, known)].sort(
    (a, b) =>
      Number(a.machineId === null) - Number(b.machineId === null) ||
      compareText(a.machineId ?? '', b.machineId ?? '') ||
      compareText(a.backend, b.backend) ||
      Number(a.quick) - Number(b.quick) ||
      place(a.method) - place(b.method) ||
      compareText(a.method, b.method) ||
      compareText(sizeKey(a.params), sizeKey(b.params)),
  )
}

/** Orders parameters by their numbers, 64 before 1024. */
function sizeKey(params: RunSpec['params']): string {
  return Object.values(params)
    .map((value) => String(value).padStart(12))
    .join()
}

function rowOf(group: readonly Entry[], known: readonly string[]): Row {
  const entries = group.toSorted((a, b) => a.result.run.seed - b.result.run.seed)
  const results = entries.map((entry) => entry.result)
  const { run, environment } = results[0]!
  const notes = results.flatMap((result) =>
    result.status === 'failed' ? [result.error.split('\n')[0]!] : result.status === 'skipped' ? [result.reason] : [],
  )
  return {
    task: run.task,
    method: methodId(run.family, run.method, known),
    params: run.params,
    backend: run.backend,
    machineId: environment.machineId,
    version: run.version,
    quick: run.quick,
    statuses: results.map((result) => result.status),
    notes: [...new Set(notes)],
    seeds: results.filter((result) => result.status === 'ok').map((result) => result.run.seed),
    metrics: summarise(results)[0]?.metrics ?? {},
    entries,
  }
}

/** What the task asks for and no machine has tried. */
function missing(task: TaskDescription, tried: readonly Row[], methods: readonly string[]): Row[] {
  const known = new Set(tried.map((row) => canonical([row.method, row.params, row.backend])))
  const leftOut = new Set(task.leftOut?.map((run) => canonical([run.method, run.params, run.backend])))
  const backends = new Set(tried.map((row) => row.backend))
  return Object.entries(task.methods).flatMap(([name, variants]) => {
    const method = methodId(task.family, name, methods)
    return variants.flatMap((params) =>
      task.backends
        .filter((backend) => backends.has(backend) && !known.has(canonical([method, params, backend])))
        .filter((backend) => !leftOut.has(canonical([name, params, backend])))
        .map((backend): Row => ({
          task: task.id,
          method,
          params,
          backend,
          machineId: null,
          version: null,
          quick: false,
          statuses: ['not run'],
          notes: [],
          seeds: [],
          metrics: {},
          entries: [],
        })),
    )
  })
}

/** Rows whose figures may be set against one another: same task, machine, backend, code and length of run. */
export interface Comparison {
  readonly machineId: string
  readonly backend: string
  readonly version: string
  readonly quick: boolean
  /** the parameter that is varied and its value, where there is one: a bigger codebook is other work */
  readonly setting: Readonly<Record<string, unknown>>
  readonly rows: readonly Row[]
}

/** The numeric parameter that every method of the rows has and at least one of them varies. */
export function sweptParameter(rows: readonly Row[]): string | null {
  const names = Object.keys(rows[0]?.params ?? {})
  const methods = Map.groupBy(rows, (row) => row.method)
  return (
    names.find(
      (name) =>
        rows.every((row) => typeof row.params[name] === 'number') &&
        [...methods.values()].some((own) => new Set(own.map((row) => row.params[name])).size > 1),
    ) ?? null
  )
}

/** Sorts measured rows into those that can be compared, full runs first, then the largest groups. */
export function comparisonsOf(rows: readonly Row[]): Comparison[] {
  const measured = rows.filter((row) => row.seeds.length > 0)
  const swept = sweptParameter(measured)
  const groups = Map.groupBy(measured, (row) =>
    canonical([row.machineId, row.backend, row.version, row.quick, swept === null ? null : row.params[swept]]),
  )
  return [...groups.values()]
    .map((group): Comparison => {
      const { machineId, backend, version, quick, params } = group[0]!
      const setting = swept === null ? {} : { [swept]: params[swept] }
      return { machineId: machineId!, backend, version: version!, quick, setting, rows: group }
    })
    .sort((a, b) => Number(a.quick) - Number(b.quick) || b.rows.length - a.rows.length)
}

/** A mean set against the best one: best / mean or mean / best, so that 1 is the best and 2 is twice as bad. */
export interface Standing {
  readonly best: boolean
  /** null where a ratio says nothing: a zero or a negative figure */
  readonly factor: number | null
}

/** How a row's metric stands among the rows that it may be compared with; null where there is nothing to compare. */
export function standing(row: Row, metric: string, comparisons: readonly Comparison[]): Standing | null {
  const own = row.metrics[metric]
  const rivals = comparisons.find((comparison) => comparison.rows.includes(row))
  if (own === undefined || own.better === 'neither' || rivals === undefined) return null
  const means = rivals.rows.flatMap((rival) => rival.metrics[metric]?.mean ?? [])
  if (means.length < 2) return null
  const best = own.better === 'lower' ? Math.min(...means) : Math.max(...means)
  const ratio = own.better === 'lower' ? own.mean / best : best / own.mean
  return { best: own.mean === best, factor: best > 0 && own.mean > 0 ? ratio : null }
}

/** The metrics of a task's rows in the task's order, those that it does not list after them. */
export function metricsOf(
  task: TaskDescription,
  rows: readonly Row[],
): {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly better: MetricSummary['better']
}[] {
  const found = new Map(Object.entries(task.metrics))
  for (const row of rows)
    for (const [name, metric] of Object.entries(row.metrics)) if (!found.has(name)) found.set(name, metric)
  return [...found].map(([name, { title, unit, better }]) => ({ name, title, unit, better }))
}

/** The successful results behind a row. */
export function measuredIn(row: Row): OkResult[] {
  return row.entries.flatMap(({ result }) => (result.status === 'ok' ? [result] : []))
}
