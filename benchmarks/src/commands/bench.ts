import type { Task } from '../define-task.ts'
import { idOfMachine, thisMachine } from '../environment.ts'
import { describeKernels, isKernelResult } from '../kernel-table.ts'
import { setUpPeer } from '../peers/set-up-peer.ts'
import { planRuns, type Selection } from '../plan.ts'
import { describeResults } from '../table.ts'
import { judgeStoredTargets } from './claims.ts'
import { anyFailed, type RunOptions, sweepRuns } from './sweep-runs.ts'

/** Sets the peers up and names those that this machine lacks. @returns those that are there */
async function usablePeers(names: readonly string[], signal: AbortSignal): Promise<string[]> {
  const usable: string[] = []
  for (const name of names) {
    const peer = await setUpPeer(name, { signal, tell: (line) => console.error(line) })
    if ('python' in peer) usable.push(name)
    else console.error(`skipped: peer ${name}: ${peer.missing}`)
  }
  return usable
}

/**
 * Does the selected runs and prints a table for each task, and one for all kernels with a verdict on each of their
 * targets.
 * @returns the exit code: 1 when a run failed
 */
export async function bench(tasks: readonly Task[], selection: Selection, options: RunOptions): Promise<number> {
  const machineId = idOfMachine(thisMachine())
  // Before a peer is set up: a wrong name shall be refused at once.
  planRuns(tasks, selection, machineId)
  const peers = await usablePeers(selection.peers ?? [], options.signal)
  const results = await sweepRuns(planRuns(tasks, { ...selection, peers }, machineId), options)
  const all = [...results.values()]
  const kernels = all.filter(isKernelResult)
  const tables = [describeResults(all.filter((result) => !isKernelResult(result))), describeKernels(kernels)]
  console.log(tables.filter((table) => table !== '').join('\n\n'))
  if (kernels.length > 0) {
    for (const name of selection.peers ?? []) {
      if (!peers.includes(name)) console.log(`${name}: skipped, see above`)
    }
    if (selection.quick !== true) judgeStoredTargets(tasks)
  }
  return anyFailed(results) ? 1 : 0
}
