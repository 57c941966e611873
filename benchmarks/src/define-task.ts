import type { Artifact, Curve, Metric, RunSpec } from './result.ts'

/** What a metric is; a run adds the samples. */
export type MetricDescription = Omit<Metric, 'samples'>

/** What a running task may use. */
export interface TaskContext {
  readonly run: RunSpec
  readonly signal: AbortSignal
  /** @param fraction how much is done, 0 to 1; @param note such as the loss */
  progress(fraction: number, note?: string): void
  /** Stores a file beside the result; @returns its entry */
  artifact(name: string, title: string, png: Uint8Array, options?: { private?: boolean }): Promise<Artifact>
}

/** What a task hands back; the runner adds environment, key and times. */
export interface TaskOutcome {
  /** samples by the names that the task describes; one that makes no sense for a method is left out */
  readonly metrics: Record<string, readonly number[]>
  readonly curves?: Record<string, Curve>
  readonly artifacts?: readonly Artifact[]
  readonly facts?: Record<string, string | number | boolean>
  /** what the backend says of itself; empty when none was used */
  readonly device: Record<string, unknown>
}

/** A kind of work on which methods are compared. */
export interface Task {
  /** `family/name`, such as `vq/digits` */
  readonly id: string
  readonly family: string
  readonly title: string
  /** one sentence for the page */
  readonly summary: string
  /** the methods compared, by id, each with the parameters of its runs (several: a sweep; the first is the usual one) */
  readonly methods: Record<string, readonly RunSpec['params'][]>
  readonly backends: readonly string[]
  /** whether a backend is measured with these parameters; by default each is with all */
  covers?(run: Pick<RunSpec, 'method' | 'params' | 'backend'>): boolean
  /** programs outside this project that it can be measured against, such as `torch` */
  readonly peers?: readonly string[]
  readonly metrics: Record<string, MetricDescription>
  /** how many seeds a full sweep runs; quality figures need at least three */
  readonly seeds: number
  /** whether it measures speed: such runs have the machine for themselves */
  readonly timing: boolean
  /** files and folders, relative to the repository, whose contents a result depends on */
  readonly sources: readonly string[]
  /** @throws SkippedError when the machine lacks what the run needs */
  run(context: TaskContext): Promise<TaskOutcome>
}

/** Says that a run can't be done here and why; stored as `skipped`, visibly. */
export class SkippedError extends Error {
  override readonly name = 'SkippedError'
}

/** Defines a benchmark task. */
export function defineTask(task: Task): Task {
  if (!task.id.startsWith(`${task.family}/`))
    throw new RangeError(`id: expected "${task.family}/...", got "${task.id}"`)
  return task
}
