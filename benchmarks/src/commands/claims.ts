import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { claims } from '../claims.ts'
import type { Task } from '../define-task.ts'
import { idOfMachine, thisMachine } from '../environment.ts'
import { localResults } from '../places.ts'
import { type ClaimsFile, ClaimsFileSchema, type Result, type Verdict } from '../result.ts'
import { median } from '../statistics.ts'
import { writeAtomically } from '../store.ts'
import { storedResults } from '../sweep.ts'
import { alignColumns, describeFigure } from '../table.ts'
import { targets } from '../targets.ts'
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

/** Stores verdicts in place of older ones on the same statements; the others stay. */
function storeVerdicts(verdicts: readonly Verdict[], machineId: string): void {
  const file = join(localResults(machineId), 'claims.json')
  const stored = existsSync(file) ? v.safeParse(ClaimsFileSchema, JSON.parse(readFileSync(file, 'utf8'))) : undefined
  const older = stored?.success === true ? stored.output.verdicts : []
  const known = [...claims, ...targets].map(({ id }) => id)
  const newest = new Map([...older, ...verdicts].map((verdict) => [verdict.id, verdict]))
  const content: ClaimsFile = { format: 1, machineId, verdicts: known.flatMap((id) => newest.get(id) ?? []) }
  writeAtomically(file, `${JSON.stringify(v.parse(ClaimsFileSchema, content), null, 1)}\n`)
}

/** Judges statements by these results, prints and stores the verdicts. */
function publish(
  statements: readonly ClaimDefinition[],
  tasks: readonly Task[],
  results: ReadonlyMap<string, Result>,
): Verdict[] {
  const machineId = idOfMachine(thisMachine())
  const verdicts = statements.map((claim) => judge(claim, tasks, machineId, results))
  storeVerdicts(verdicts, machineId)
  console.log(verdicts.map(describeVerdict).join('\n\n'))
  console.log(`\n${verdicts.length} claims: ${describeCounts(verdicts)}`)
  return verdicts
}

function describeCounts(verdicts: readonly Verdict[]): string {
  const count = (what: Verdict['verdict']): number => verdicts.filter(({ verdict }) => verdict === what).length
  return (['holds', 'does not hold', 'not measured'] as const).map((what) => `${count(what)} ${what}`).join(', ')
}

/**
 * Does the runs that the claims need and judges them: one that does not hold is a result, not an error.
 * @returns the exit code: 1 when something could not be measured
 */
export async function checkClaims(tasks: readonly Task[], options: RunOptions): Promise<number> {
  const runs = runsOfClaims(claims, tasks, idOfMachine(thisMachine()))
  const verdicts = publish(claims, tasks, await sweepRuns(runs, options))
  return verdicts.some(({ verdict }) => verdict === 'not measured') ? 1 : 0
}

/** Judges the claims by what is stored on this machine, without doing any run. */
export function judgeStoredClaims(tasks: readonly Task[]): void {
  const machineId = idOfMachine(thisMachine())
  publish(claims, tasks, storedResults(runsOfClaims(claims, tasks, machineId), machineId))
}

/** The median of all rounds, and where they lie: `0.45 (0.41 to 0.52)`. */
function describeMiddle(values: readonly number[]): string {
  if (values.length < 2) return values.map(describeFigure).join() || '-'
  const [least, most] = [Math.min(...values), Math.max(...values)].map(describeFigure)
  return `${describeFigure(Number(median(values).toPrecision(4)))} (${least} to ${most})`
}

/** Judges the targets of the kernels by what is stored on this machine, a line for each, and stores the verdicts. */
export function judgeStoredTargets(tasks: readonly Task[]): void {
  const machineId = idOfMachine(thisMachine())
  const results = storedResults(runsOfClaims(targets, tasks, machineId), machineId)
  const verdicts = targets.map((target) => judge(target, tasks, machineId, results))
  // What has no figures here says nothing on a page.
  storeVerdicts(
    verdicts.filter(({ verdict }) => verdict !== 'not measured'),
    machineId,
  )
  const rows = verdicts.map(({ verdict, claim, figures, condition }) => [
    verdict.toUpperCase(),
    claim,
    describeMiddle(Object.values(figures).flat()),
    condition,
  ])
  console.log(`\n${alignColumns([['verdict', 'target', 'measured', 'condition'], ...rows])}`)
  console.log(`\n${verdicts.length} targets: ${describeCounts(verdicts)}`)
}
