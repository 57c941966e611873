import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { currentLoad, describeEnvironment, type SharedEnvironment } from './environment.ts'
import { lock } from './lock.ts'
import { benchDirectory, localResults } from './places.ts'
import type { PlannedRun } from './plan.ts'
import type { Progress } from './progress.ts'
import type { Job, Queue } from './queue.ts'
import type { Result } from './result.ts'
import { runInChild } from './run-in-child.ts'
import { findResult, isFinished, readResult, resultFile, writeResult } from './store.ts'

export interface SweepOptions {
  /** how many quality runs go on side by side; runs that measure speed are always alone */
  readonly concurrency: number
  /** whether to do finished runs again */
  readonly force?: boolean
  readonly signal: AbortSignal
  /** @param total how many runs are left to do */
  readonly progress: (total: number) => Progress
}

/** How often a shared queue is asked again while other machines finish. */
const pollMilliseconds = 2000

/** What the parts of a sweep share. */
interface State {
  readonly results: Map<string, Result>
  readonly shown: Progress
  readonly signal: AbortSignal
  readonly force: boolean
  /** the first runs, which don't wait for the queue to open */
  readonly head: PlannedRun[]
  readonly queue: Promise<Queue> | undefined
  /** stops every child */
  readonly stop: (reason: unknown) => void
}

/** Does one run in a child; a crash becomes a failed result. */
async function doRun(run: PlannedRun, environment: SharedEnvironment, state: State): Promise<Result> {
  const { spec, key } = run
  const { shown, signal } = state
  const folder = localResults(environment.machineId)
  const load = currentLoad()
  const started = new Date()
  shown.start(run)
  let result: Result
  try {
    await runInChild(
      { spec, key, folder, environment },
      { signal, onProgress: (fraction, note) => shown.update(run, fraction, note) },
    )
    result = readResult(resultFile(folder, spec, key))
  } catch (error) {
    signal.throwIfAborted()
    result = {
      format: 1,
      key,
      run: spec,
      environment: { ...environment, device: {}, load },
      startedAt: started.toISOString(),
      seconds: (Date.now() - started.getTime()) / 1000,
      status: 'failed',
      error: error instanceof Error ? error.message : String(error),
    }
    writeResult(folder, result)
  }
  shown.finish(run, result.status, reasonOf(result))
  return result
}

/** Why a run has no figures, in one line. */
export function reasonOf(result: Result): string {
  if (result.status === 'failed') return result.error.split('\n', 1)[0] ?? ''
  return result.status === 'skipped' ? result.reason : ''
}

/** Counts what another machine has done. */
function takeOver(run: PlannedRun, result: Result, state: State): void {
  state.results.set(run.key, result)
  state.shown.finish(run, result.status, `elsewhere${reasonOf(result) && `: ${reasonOf(result)}`}`)
}

async function doJob(job: Job, environment: SharedEnvironment, state: State, queue?: Queue): Promise<void> {
  const { run } = job
  try {
    const elsewhere = state.force ? undefined : (await queue?.results?.collect([run]))?.get(run.key)
    if (elsewhere !== undefined && isFinished(elsewhere)) {
      takeOver(run, elsewhere, state)
    } else {
      const result = await doRun(run, environment, state)
      await queue?.results?.record(result, resultFile(localResults(environment.machineId), run.spec, run.key))
      state.results.set(run.key, result)
    }
    await job.done()
  } catch (error) {
    await job.release()
    throw error
  }
}

const noJob = async (): Promise<void> => {}

/** Works off the head and the queue in so many lanes; when one breaks, all stop. */
async function workOff(lanes: number, timing: boolean, state: State): Promise<void> {
  const environment = describeEnvironment(lanes)
  const lane = async (): Promise<void> => {
    for (;;) {
      state.signal.throwIfAborted()
      const first = state.head.shift()
      const queue = first === undefined ? await state.queue : undefined
      const job = first ? { run: first, done: noJob, release: noJob } : await queue?.take(timing)
      if (job === undefined) return
      await doJob(job, environment, state, queue)
    }
  }
  await Promise.all(Array.from({ length: lanes }, () => lane().catch(state.stop)))
  state.signal.throwIfAborted()
}

/** Waits for the runs that other machines have taken, and does those that come back. */
async function finishElsewhere(todo: readonly PlannedRun[], lanes: number, state: State): Promise<void> {
  const queue = await state.queue
  const begun = new Date(performance.timeOrigin).toISOString()
  for (;;) {
    const missing = todo.filter(({ key }) => !state.results.has(key))
    const found = await queue?.results?.collect(missing)
    for (const run of missing) {
      const result = found?.get(run.key)
      // A failure of an earlier sweep is a reason to try again.
      if (result !== undefined && (isFinished(result) || result.startedAt >= begun)) takeOver(run, result, state)
    }
    const open = missing.filter(({ key }) => !state.results.has(key))
    if (open.length === 0) return
    await pause(pollMilliseconds, undefined, { signal: state.signal })
    // Jobs that are still waiting or under way are not doubled; those that died for good come back.
    await queue?.add(open)
    await workOff(lanes, false, state)
    await workOff(1, true, state)
  }
}

async function openQueue(machineId: string, runs: readonly PlannedRun[]): Promise<Queue> {
  // Loaded only when needed: a few runs need no queue.
  const { openEmbeddedQueue, openSharedQueue } = await import('./queue.ts')
  const url = process.env.DATABASE_URL
  const queue = await (url === undefined
    ? openEmbeddedQueue(join(benchDirectory(), 'queue'), machineId)
    : openSharedQueue(url, machineId))
  await queue.add(runs)
  return queue
}

/** What is stored of these runs on this machine, by run key. */
export function storedResults(runs: readonly PlannedRun[], machineId: string): Map<string, Result> {
  const found = new Map<string, Result>()
  for (const run of runs) {
    const result = findResult(localResults(machineId), run.spec, run.key)
    if (result !== undefined) found.set(run.key, result)
  }
  return found
}

/**
 * Does the runs that are not finished, each in its own process. Killed at any time, the next start goes on where this
 * one was.
 * @returns the results of all runs, by run key, in the order of the runs
 * @throws the signal's reason when stopped; an Error when another sweep is under way
 */
export async function sweep(runs: readonly PlannedRun[], options: SweepOptions): Promise<Map<string, Result>> {
  const { concurrency, force = false } = options
  const { machineId } = describeEnvironment(concurrency)
  const stored = storedResults(runs, machineId)
  const todo = runs.filter(({ key }) => force || !isFinished(stored.get(key)))
  if (todo.length === 0) return stored

  const unlock = lock(join(benchDirectory(), 'sweep.lock'))
  const shared = process.env.DATABASE_URL !== undefined
  const quality = todo.filter(({ timing }) => !timing)
  const timing = todo.filter(({ timing }) => timing)
  const queued = [...quality, ...timing]
  // The embedded queue takes seconds to make the first time: meanwhile the first runs are under way.
  const head = shared ? [] : queued.splice(0, quality.length > 0 ? Math.min(concurrency, quality.length) : 1)
  const broken = new AbortController()
  const state: State = {
    results: new Map(),
    shown: options.progress(todo.length),
    signal: AbortSignal.any([options.signal, broken.signal]),
    force,
    head,
    queue: queued.length === 0 ? undefined : openQueue(machineId, queued),
    stop: (reason) => broken.abort(reason),
  }
  state.queue?.catch(state.stop)
  try {
    if (quality.length > 0) await workOff(Math.min(concurrency, quality.length), false, state)
    if (timing.length > 0) await workOff(1, true, state)
    if (shared) await finishElsewhere(todo, concurrency, state)
  } finally {
    state.shown.end()
    await state.queue?.then((queue) => queue.close()).catch(() => {})
    unlock()
  }
  return new Map(
    runs.flatMap(({ key }) => {
      const result = state.results.get(key) ?? stored.get(key)
      return result === undefined ? [] : [[key, result]]
    }),
  )
}
