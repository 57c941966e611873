import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Task, TaskContext, TaskOutcome } from './define-task.ts'
import { currentLoad } from './environment.ts'
import { loadTasks } from './load-tasks.ts'
import type { Metric, Result } from './result.ts'
import type { Assignment, Message } from './run-in-child.ts'
import { taskVersion } from './run-key.ts'
import { artifactFolder, resultFile, writeAtomically, writeResult } from './store.ts'

/** How often progress is told, at most. */
const progressEvery = 200

async function tell(message: Message): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.send === undefined) resolve()
    else process.send(message, () => resolve())
  })
}

function describeMetrics(task: Task, outcome: TaskOutcome): Record<string, Metric> {
  const surplus = Object.keys(outcome.metrics).filter((name) => task.metrics[name] === undefined)
  if (surplus.length > 0) throw new RangeError(`metrics of ${task.id}: ${surplus.join(', ')} not described by the task`)
  if (Object.keys(outcome.metrics).length === 0) throw new RangeError(`metrics of ${task.id}: none was measured`)
  return Object.fromEntries(
    Object.entries(task.metrics).flatMap(([name, description]) => {
      const samples = outcome.metrics[name]
      return samples === undefined ? [] : [[name, { ...description, samples: [...samples] }]]
    }),
  )
}

function makeContext(assignment: Assignment, signal: AbortSignal): TaskContext {
  const folder = artifactFolder(resultFile(assignment.folder, assignment.spec, assignment.key))
  rmSync(folder, { recursive: true, force: true })
  let told = 0
  return {
    run: assignment.spec,
    signal,
    progress(fraction, note = '') {
      if (performance.now() - told < progressEvery) return
      told = performance.now()
      void tell({ kind: 'progress', fraction, note })
    },
    async artifact(name, title, png, options = {}) {
      writeAtomically(join(folder, name), png)
      return { title, file: `${basename(folder)}/${name}`, kind: 'image', private: options.private ?? false }
    },
  }
}

/** Does the run and stores its result, whatever it is; only a stopped run stores nothing. */
async function work(assignment: Assignment, signal: AbortSignal): Promise<Result['status'] | undefined> {
  const { spec, key, folder, environment } = assignment
  const begun = performance.now()
  const base = {
    format: 1 as const,
    key,
    run: spec,
    environment: { ...environment, load: currentLoad(), device: {} as Record<string, unknown> },
    startedAt: new Date().toISOString(),
  }
  const seconds = (): number => Math.round(performance.now() - begun) / 1000
  const store = (result: Result): Result['status'] => {
    writeResult(folder, result)
    return result.status
  }
  try {
    const task = (await loadTasks()).find(({ id }) => id === spec.task)
    if (task === undefined) throw new RangeError(`task: unknown "${spec.task}"`)
    if (taskVersion(task) !== spec.version) throw new Error('the sources of the task changed while the sweep went on')
    const outcome = await task.run(makeContext(assignment, signal))
    const { device, curves = {}, artifacts = [], facts = {} } = outcome
    return store({
      ...base,
      environment: { ...base.environment, device },
      seconds: seconds(),
      status: 'ok',
      metrics: describeMetrics(task, outcome),
      curves,
      artifacts: [...artifacts],
      facts,
    })
  } catch (error) {
    if (signal.aborted) return undefined
    const message = error instanceof Error ? error.message : String(error)
    // By name: a task module may have been loaded beside this one.
    if (error instanceof Error && error.name === 'SkippedError') {
      return store({ ...base, seconds: seconds(), status: 'skipped', reason: message })
    }
    const detail = error instanceof Error ? (error.stack ?? message) : message
    return store({ ...base, seconds: seconds(), status: 'failed', error: detail })
  }
}

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort(new Error(`stopped by ${name}`)))
// Without its coordinator nobody counts the run: the next sweep does it again.
process.on('disconnect', () => process.exit(1))
process.once('message', async (assignment: Assignment) => {
  const status = await work(assignment, stop.signal)
  if (status !== undefined) await tell({ kind: 'stored', status })
  // Thread pools of a backend must not keep the process alive.
  process.exit(status === undefined ? 130 : 0)
})
