import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { idOfMachine, thisMachine } from '../environment.ts'
import { exampleResult } from '../example-result.fixture.ts'
import { localResults } from '../places.ts'
import type { ClaimsFile, Verdict } from '../result.ts'
import { writeAtomically, writeResult } from '../store.ts'
import { targets } from '../targets.ts'
import { tasks } from '../tasks.ts'
import { runsOfSeries } from '../verdicts.ts'
import { judgeStoredTargets } from './claims.ts'

const machineId = idOfMachine(thisMachine())
let folder = ''
let said: string[] = []
const file = (): string => join(localResults(machineId), 'claims.json')
const stored = (): string[] =>
  (JSON.parse(readFileSync(file(), 'utf8')) as ClaimsFile).verdicts.map(({ id, verdict }) => `${id}: ${verdict}`)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claims-'))
  vi.stubEnv('BENCH_DIR', folder)
  said = []
  vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text))
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})

/** Stores a result for the one run of a target. */
function measure(id: string, samples: number[]): void {
  const series = targets.find((target) => target.id === id)!.series.figure!
  const [run] = runsOfSeries(series, tasks, machineId)
  const metric = { title: '', unit: 'ratio', better: 'lower' as const, samples }
  const result = exampleResult(run!.spec, { key: run!.key, metrics: { [series.metric]: metric } })
  writeResult(localResults(machineId), result)
}

it('judges targets by what is stored, a line for each, beside verdicts on claims that stay', () => {
  const verdict: Verdict = {
    id: 'simvq-usage',
    claim: 'A claim',
    source: { title: 'A paper', where: 'Table 1' },
    measured: 'a value',
    figures: {},
    condition: 'above',
    verdict: 'holds',
    results: [],
  }
  const gone = { ...verdict, id: 'no-such-claim' }
  writeAtomically(file(), JSON.stringify({ format: 1, machineId, verdicts: [gone, verdict] } satisfies ClaimsFile))
  measure('kernels-conv2d', [5, 7, 5.5])
  judgeStoredTargets(tasks)
  const lines = said.join('\n').split('\n')
  expect(lines.find((line) => line.startsWith('HOLDS'))).toMatch(
    /convolution .* 5\.5 \(5 to 7\) +a median of at most 6 x/,
  )
  expect(lines.filter((line) => line.startsWith('NOT MEASURED'))).toHaveLength(targets.length - 1)
  expect(lines.at(-1)).toBe(`${targets.length} targets: 1 holds, 0 does not hold, ${targets.length - 1} not measured`)
  expect(stored()).toEqual(['simvq-usage: holds', 'kernels-conv2d: holds'])

  measure('kernels-conv2d', [6.5])
  judgeStoredTargets(tasks)
  expect(stored()).toEqual(['simvq-usage: holds', 'kernels-conv2d: does not hold'])
})
