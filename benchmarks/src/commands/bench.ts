import type { Task } from '../define-task.ts'
import { idOfMachine, thisMachine } from '../environment.ts'
import { planRuns, type Selection } from '../plan.ts'
import { describeResults } from '../table.ts'
import { anyFailed, type RunOptions, sweepRuns } from './sweep-runs.ts'

/** Does the selected runs and prints a table for each task. @returns the exit code: 1 when a run failed */
export async function bench(tasks: readonly Task[], selection: Selection, options: RunOptions): Promise<number> {
  const results = await sweepRuns(planRuns(tasks, selection, idOfMachine(thisMachine())), options)
  console.log(describeResults([...results.values()]))
  return anyFailed(results) ? 1 : 0
}
