import type { PlannedRun } from '../plan.ts'
import { showProgress } from '../progress.ts'
import type { Result } from '../result.ts'
import { describeRun } from '../plan.ts'
import { reasonOf, sweep } from '../sweep.ts'

/** What all commands that do runs are told. */
export interface RunOptions {
  readonly concurrency: number
  readonly force: boolean
  readonly signal: AbortSignal
}

/** Does the runs, with progress on standard error, and lists those without figures. */
export async function sweepRuns(
  runs: readonly PlannedRun[],
  { concurrency, force, signal }: RunOptions,
): Promise<Map<string, Result>> {
  let begun = 0
  const results = await sweep(runs, {
    concurrency,
    force,
    signal,
    progress: (total) => {
      begun = total
      return showProgress(total, process.stderr)
    },
  })
  if (begun < runs.length) console.error(`${runs.length - begun} of ${runs.length} runs were there already`)
  for (const result of results.values()) {
    if (result.status !== 'ok') console.error(`${result.status}: ${describeRun(result.run)}: ${reasonOf(result)}`)
  }
  return results
}

/** Whether a run failed. */
export function anyFailed(results: ReadonlyMap<string, Result>): boolean {
  return [...results.values()].some(({ status }) => status === 'failed')
}
