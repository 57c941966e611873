import { join } from 'node:path'
import * as v from 'valibot'
import { claims as allClaims } from '../claims.ts'
import type { Task } from '../define-task.ts'
import { idOfMachine, thisMachine } from '../environment.ts'
import { localResults } from '../places.ts'
import { type ClaimsFile, ClaimsFileSchema, type Result, type Verdict } from '../result.ts'
import { median } from '../statistics.ts'
import { writeAtomically } from '../store.ts'
import { storedResults } from '../sweep.ts'
import { describeFigure } from '../table.ts'
import { type ClaimDefinition, judge, runsOfClaims } from '../verdicts.ts'
import { type RunOptions, sweepRuns } from './sweep-runs.ts'

function describeSeries(name: string, values: readonly number[]): string {
  if (values.length <= 5) return `${name} ${values.map(describeFigure).join(', ') || '-'}`
  return `${name} median ${describeFigure(median(values))} of ${values.length}`
}

function describeVerdict(verdict: Verdict): string {
  const { source, figures } = verdict
  const numbers = Object.entries(figures).map(([name, values]) => describeSeries(name, values))
  return [
    `${verdict.verdict.toUpperCase().padEnd(13)} ${verdict.claim}`,
    `  source     ${[source.title, ...(source.arxiv ? [`arXiv ${source.arxiv}`] : []), source.where].join('; ')}`,
    `  measured   ${verdict.measured}`,
    `  figures    ${numbers.join('; ')}`,
    `  condition  ${verdict.condition}`,
  ].join('\n')
}

/** Judges the claims by these results, prints and stores the verdicts. */
function publish(
  claims: readonly ClaimDefinition[],
  tasks: readonly Task[],
  results: ReadonlyMap<string, Result>,
): ClaimsFile {
  const machineId = idOfMachine(thisMachine())
  const verdicts = claims.map((claim) => judge(claim, tasks, machineId, results))
  const file: ClaimsFile = v.parse(ClaimsFileSchema, { format: 1, machineId, verdicts })
  writeAtomically(join(localResults(machineId), 'claims.json'), `${JSON.stringify(file, null, 1)}\n`)
  console.log(verdicts.map(describeVerdict).join('\n\n'))
  const count = (what: Verdict['verdict']): number => verdicts.filter(({ verdict }) => verdict === what).length
  const counts = (['holds', 'does not hold', 'not measured'] as const).map((what) => `${count(what)} ${what}`)
  console.log(`\n${verdicts.length} claims: ${counts.join(', ')}`)
  return file
}

/**
 * Does the runs that the claims need and judges them: one that does not hold is a result, not an error.
 * @returns the exit code: 1 when something could not be measured
 */
export async function claims(tasks: readonly Task[], options: RunOptions): Promise<number> {
  const runs = runsOfClaims(allClaims, tasks, idOfMachine(thisMachine()))
  const { verdicts } = publish(allClaims, tasks, await sweepRuns(runs, options))
  return verdicts.some(({ verdict }) => verdict === 'not measured') ? 1 : 0
}

/** Judges the claims by what is stored on this machine, without doing any run. */
export function judgeStoredClaims(tasks: readonly Task[]): void {
  const machineId = idOfMachine(thisMachine())
  publish(allClaims, tasks, storedResults(runsOfClaims(allClaims, tasks, machineId), machineId))
}
