import type { Task } from './define-task.ts'
import type { RunSpec } from './result.ts'
import { runKey, taskVersion } from './run-key.ts'

/** Which runs are wanted; what is left out means all. */
export interface Selection {
  readonly families?: readonly string[]
  readonly tasks?: readonly string[]
  readonly methods?: readonly string[]
  readonly backends?: readonly string[]
  /** only runs with these parameters, compared as text */
  readonly params?: Readonly<Record<string, string>>
  /** the first so many seeds; by default as many as the task asks for, one when quick */
  readonly seeds?: number
  /** exactly these seeds */
  readonly seed?: readonly number[]
  readonly quick?: boolean
  /** the peers to measure against, where the task can */
  readonly peers?: readonly string[]
  /** only the first, usual parameters of each method */
  readonly usualOnly?: boolean
}

/** A run that a sweep shall do. */
export interface PlannedRun {
  readonly spec: RunSpec
  readonly key: string
  /** whether it measures speed, so that it must run alone */
  readonly timing: boolean
}

function refuseUnknown(argument: string, asked: readonly string[] | undefined, known: Iterable<string>): void {
  const names = [...new Set(known)].sort()
  for (const name of asked ?? []) {
    if (!names.includes(name)) throw new RangeError(`${argument}: unknown "${name}"; known: ${names.join(', ')}`)
  }
}

/** A task's name with what tells a run from its neighbours. */
export function describeRun(run: Pick<RunSpec, 'task' | 'method' | 'params' | 'seed' | 'backend'>): string {
  const params = describeParams(run.params)
  return `${run.task} ${run.method}${params === '' ? '' : ` (${params})`} seed ${run.seed} on ${run.backend}`
}

/** Parameters in one line, empty when there are none. */
export function describeParams(params: RunSpec['params']): string {
  return Object.entries(params)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join('x') : String(value)}`)
    .join(', ')
}

/**
 * Lists the runs of a selection: all methods at the first seed, then at the next, so that a part is already a comparison.
 * @throws RangeError when a name is unknown or nothing is selected
 */
export function planRuns(tasks: readonly Task[], selection: Selection, machineId: string): PlannedRun[] {
  const { families, methods, backends, params = {}, quick = false } = selection
  refuseUnknown(
    'family',
    families,
    tasks.map((task) => task.family),
  )
  refuseUnknown(
    'task',
    selection.tasks,
    tasks.map((task) => task.id),
  )
  refuseUnknown(
    'method',
    methods,
    tasks.flatMap((task) => Object.keys(task.methods)),
  )
  refuseUnknown(
    'backend',
    backends,
    tasks.flatMap((task) => task.backends),
  )
  refuseUnknown(
    'peers',
    selection.peers,
    tasks.flatMap((task) => task.peers ?? []),
  )
  const variants = tasks.flatMap((task) => Object.values(task.methods).flat())
  refuseUnknown(
    'param',
    Object.keys(params),
    variants.flatMap((variant) => Object.keys(variant)),
  )

  const runs: PlannedRun[] = []
  for (const task of tasks) {
    if (families?.includes(task.family) === false || selection.tasks?.includes(task.id) === false) continue
    const version = taskVersion(task)
    const peers = selection.peers?.filter((name) => task.peers?.includes(name)) ?? []
    const count = selection.seeds ?? (quick ? 1 : task.seeds)
    const seeds = selection.seed ?? Array.from({ length: count }, (_, seed) => seed)
    for (const backend of task.backends.filter((name) => backends?.includes(name) !== false)) {
      for (const seed of seeds) {
        for (const [method, all] of Object.entries(task.methods)) {
          if (methods?.includes(method) === false) continue
          for (const variant of selection.usualOnly === true ? all.slice(0, 1) : all) {
            if (!Object.entries(params).every(([name, value]) => String(variant[name]) === value)) continue
            if (task.covers?.({ method, params: variant, backend }) === false) continue
            const spec: RunSpec = {
              task: task.id,
              family: task.family,
              method,
              params: variant,
              seed,
              backend,
              quick,
              ...(peers.length > 0 && { peers }),
              version,
            }
            runs.push({ spec, key: runKey(spec, machineId), timing: task.timing })
          }
        }
      }
    }
  }
  if (runs.length === 0) throw new RangeError('the selection: no task has a run that matches all filters')
  return runs
}
