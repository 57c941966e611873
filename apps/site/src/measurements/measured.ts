import { getCollection } from 'astro:content'
import type { ClaimsFile, Machine } from '@x/benchmarks/result'
import type { Method } from '../families.ts'
import { type Ink, inksOf } from '../theme/palette.ts'
import { type Entry, type Row, rowsOf, type TaskDescription } from './rows.ts'

/** Collections come in no useful order: everything here is sorted before a page sees it. */
export async function readEntries(): Promise<Entry[]> {
  const entries = (await getCollection('results')).map(({ data }) => data)
  return entries.sort((a, b) => (a.result.key < b.result.key ? -1 : 1))
}

/** The described methods, in the order of their packages. */
export async function readMethods(): Promise<Method[]> {
  return (await getCollection('methods')).map(({ data }) => data).sort((a, b) => a.order - b.order)
}

export interface MeasuredTask {
  readonly task: TaskDescription
  readonly rows: readonly Row[]
}

/** Every task with its rows; results of a task that is no longer there keep a section of their own. */
export async function readMeasured(): Promise<MeasuredTask[]> {
  const entries = await readEntries()
  const methods = (await readMethods()).map(({ id }) => id)
  const tasks = (await getCollection('tasks')).map(({ data }) => data.task).sort((a, b) => a.order - b.order)
  const known = new Set(tasks.map((task) => task.id))
  const orphans = [...new Set(entries.map(({ result }) => result.run.task))].filter((id) => !known.has(id)).sort()
  return [...tasks, ...orphans.map(orphan)].map((task) => ({ task, rows: rowsOf(task, entries, methods) }))
}

function orphan(id: string): TaskDescription {
  const summary = 'This version of the project has no such task; its results are kept.'
  const family = id.split('/')[0]!
  return { id, family, title: id, summary, methods: {}, backends: [], metrics: {}, seeds: 0, order: 0 }
}

export async function readClaimsFiles(): Promise<ClaimsFile[]> {
  const files = (await getCollection('claims')).map(({ data }) => data.claims)
  return files.sort((a, b) => (a.machineId < b.machineId ? -1 : 1))
}

/** The machines that results come from, by id. */
export function machinesOf(entries: readonly Entry[]): ReadonlyMap<string, Machine> {
  return new Map(entries.map(({ result: { environment } }) => [environment.machineId, environment.machine]))
}

/** How every method is named and drawn, those that only results name (such as peers) included. */
export interface MethodLook extends Ink {
  readonly title: string
  /** whether it has a page */
  readonly described: boolean
}

export async function readLooks(): Promise<ReadonlyMap<string, MethodLook>> {
  const described = await readMethods()
  const titles = new Map(described.map(({ id, title }) => [id, title]))
  const seen = (await readMeasured()).flatMap(({ rows }) => rows.map((row) => row.method))
  const ids = [...titles.keys(), ...[...new Set(seen)].filter((id) => !titles.has(id)).sort()]
  const inks = inksOf(ids)
  return new Map(ids.map((id) => [id, { ...inks.get(id)!, title: titles.get(id) ?? id, described: titles.has(id) }]))
}
