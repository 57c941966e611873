import { pathToFileURL } from 'node:url'
import type { Task } from './define-task.ts'

/** The tasks to run: the project's own, or those of the module that `BENCH_TASKS` names. */
export async function loadTasks(): Promise<readonly Task[]> {
  const place = process.env.BENCH_TASKS
  const module = place === undefined ? await import('./tasks.ts') : await import(pathToFileURL(place).href)
  return (module as { tasks: readonly Task[] }).tasks
}
