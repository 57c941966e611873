import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { publish } from './commands/publish.ts'
import { idOfMachine, thisMachine } from './environment.ts'
import { exampleResult, failedResult } from './example-result.fixture.ts'
import type { Result, RunSpec } from './result.ts'
import { readClaims, readResults, reproduceCommand, summarise } from './results.ts'
import { readResult, resultFiles, writeAtomically, writeResult } from './store.ts'
import { alignColumns, describeFigure, describeResults } from './table.ts'

let root = ''
const local = (machine = 'm0000000'): string => join(root, 'bench', 'results', machine)
const published = (machine = 'm0000000'): string => join(root, 'published', machine)

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'results-'))
  vi.stubEnv('BENCH_DIR', join(root, 'bench'))
  vi.stubEnv('BENCH_PUBLISHED', join(root, 'published'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  rmSync(root, { recursive: true })
})

const found = async (): Promise<[RunSpec['version'], string][]> =>
  (await readResults()).map(({ result, source }) => [result.run.version, source])

describe('readResults', () => {
  it('has nothing before anything was run', async () => {
    expect(await readResults()).toEqual([])
    expect(await readClaims()).toEqual([])
  })

  it('takes the newest of both stores for each run', async () => {
    writeResult(published(), exampleResult({ version: 'old' }, { startedAt: '2026-01-01T00:00:00.000Z' }))
    writeResult(local(), exampleResult({ version: 'new' }, { startedAt: '2026-01-02T00:00:00.000Z' }))
    expect(await found()).toEqual([['new', 'local']])
    writeResult(published(), exampleResult({ version: 'newest' }, { startedAt: '2026-01-03T00:00:00.000Z' }))
    expect(await found()).toEqual([['newest', 'published']])
    expect(await readResults({ sources: ['local'] })).toHaveLength(1)
  })

  it('prefers the local copy of a published result, which has its private pictures', async () => {
    writeResult(published(), exampleResult())
    writeResult(local(), exampleResult())
    expect(await found()).toEqual([['v1', 'local']])
  })

  it('takes quick runs only where there is nothing full', async () => {
    writeResult(local(), exampleResult({ version: 'quick', quick: true }, { startedAt: '2026-01-05T00:00:00.000Z' }))
    expect(await found()).toEqual([['quick', 'local']])
    writeResult(local(), exampleResult({ version: 'full' }))
    expect(await found()).toEqual([['full', 'local']])
  })

  it('keeps runs apart by task, method, parameters, seed, backend and machine', async () => {
    const others: Partial<RunSpec>[] = [{}, { method: 'b' }, { params: { k: 1 } }, { seed: 1 }, { backend: 'cpu' }]
    for (const run of others) writeResult(local(), exampleResult(run))
    const elsewhere = exampleResult()
    writeResult(local('other'), { ...elsewhere, environment: { ...elsewhere.environment, machineId: 'other' } })
    expect(await readResults()).toHaveLength(6)
  })

  it('takes what was measured against a peer before what was not, of one version', async () => {
    const [earlier, later] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'] as const
    const read = async (): Promise<unknown[]> => (await readResults()).map(({ result }) => result.run.peers ?? null)
    writeResult(local(), exampleResult({ peers: ['torch'] }, { startedAt: earlier }))
    writeResult(local(), exampleResult({}, { startedAt: later }))
    expect(await read()).toEqual([['torch']])
    writeResult(local(), exampleResult({ version: 'v2' }, { startedAt: later }))
    expect(await read()).toEqual([null])
  })

  it('says where a picture lies', async () => {
    const artifacts = [{ title: 'A dot', file: 'a-s0-x/dot.png', kind: 'image' as const, private: false }]
    writeResult(local(), exampleResult({}, { artifacts }))
    const [stored] = await readResults()
    expect(stored!.artifactPath(artifacts[0]!)).toBe(join(local(), 'test', 'example', 'a-s0-x', 'dot.png'))
  })

  it('refuses a file that is no result', async () => {
    writeAtomically(join(local(), 'test', 'x.json'), '{}')
    await expect(readResults()).rejects.toThrow(/x\.json/)
  })

  it('reads claims, and refuses what are none', async () => {
    const file = join(local(), 'claims.json')
    writeAtomically(file, JSON.stringify({ format: 1, machineId: 'm0000000', verdicts: [] }))
    expect(await readClaims()).toEqual([{ format: 1, machineId: 'm0000000', verdicts: [] }])
    expect(await readResults()).toEqual([])
    writeAtomically(file, '{"format": 2}')
    await expect(readClaims()).rejects.toThrow(/claims\.json/)
  })
})

describe('publish', () => {
  const machineId = idOfMachine(thisMachine())
  const here = <R extends Result>(result: R): R => ({ ...result, environment: { ...result.environment, machineId } })
  beforeEach(() => void vi.spyOn(console, 'log').mockReturnValue())

  it('leaves out private pictures, quick and failed runs', async () => {
    const [from, to] = [local(machineId), published(machineId)]
    const picture = (name: string, hidden: boolean): Result => {
      const result = exampleResult({ method: name })
      const file = `${name}-s0-${result.key.slice(0, 8)}/dot.png`
      writeAtomically(join(from, 'test', 'example', file), name)
      return here({ ...result, artifacts: [{ title: name, file, kind: 'image', private: hidden }] })
    }
    for (const result of [picture('open', false), picture('hidden', true)]) writeResult(from, result)
    writeResult(from, here(exampleResult({ method: 'hasty', quick: true })))
    writeResult(from, here(failedResult({ method: 'broken' })))
    writeResult(local('other'), exampleResult({ method: 'elsewhere' }))
    writeFileSync(join(from, 'claims.json'), 'claims')
    expect(await publish()).toBe(0)
    const results = resultFiles(to).map(readResult)
    expect(results.map(({ run }) => run.method)).toEqual(['hidden', 'open'])
    expect(results.map((result) => (result.status === 'ok' ? result.artifacts.length : -1))).toEqual([0, 1])
    const entries = readdirSync(join(to, 'test', 'example'), { withFileTypes: true })
    expect(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name.split('-')[0])).toEqual(['open'])
    expect(readFileSync(join(to, 'claims.json'), 'utf8')).toBe('claims')
    expect(readdirSync(join(root, 'published'))).toEqual([machineId])
  })

  it('puts a newer version in the place of an older one, and leaves other runs', async () => {
    const [from, to] = [local(machineId), published(machineId)]
    const at = (day: number): { startedAt: string } => ({ startedAt: `2026-01-0${day}T00:00:00.000Z` })
    writeResult(to, here(exampleResult({ version: 'v0' }, at(1))))
    writeResult(to, here(exampleResult({ version: 'v0', seed: 7 }, at(1))))
    writeResult(from, here(exampleResult({ version: 'v1' }, at(2))))
    writeResult(from, here(exampleResult({ version: 'v2' }, at(3))))
    expect(await publish()).toBe(0)
    const kept = resultFiles(to).map((file) => readResult(file).run)
    expect(kept.map(({ version, seed }) => `${version} ${seed}`).sort()).toEqual(['v0 7', 'v2 0'])
  })

  it('says when there is nothing', async () => {
    mkdirSync(local(machineId), { recursive: true })
    expect(await publish()).toBe(1)
  })
})

describe('reproduceCommand', () => {
  it('names the run, quoted for a shell', () => {
    const result = exampleResult({ params: { bias: true, levels: [8, 5], note: "it's" }, seed: 2, quick: true })
    expect(reproduceCommand(result)).toBe(
      'npx -y pnpm@12 bench --task test/example --method a --param bias=true --param levels=8,5 ' +
        String.raw`--param 'note=it'\''s' --backend none --seed 2 --quick --force`,
    )
  })
})

it('names the peers to do a run again', () => {
  expect(reproduceCommand(exampleResult({ peers: ['torch'] }))).toMatch(/ --seed 0 --peers torch --force$/)
})

describe('summarise', () => {
  const value = (samples: number[]): { metrics: Record<string, never> } =>
    ({ metrics: { value: { title: 'value', unit: 'fraction', better: 'higher', samples } } }) as never
  const three = [1, 2, 6].map((figure, seed) => exampleResult({ seed }, value([figure])))

  it('sums up over seeds', () => {
    const [summary, ...rest] = summarise([three[2]!, three[0]!, failedResult({ seed: 4 }), three[1]!])
    expect(rest).toEqual([])
    expect(summary!.seeds).toEqual([0, 1, 2])
    expect(summary!.metrics.value).toMatchObject({ mean: 3, min: 1, max: 6, values: [1, 2, 6] })
    expect(summary!.metrics.value!.standardDeviation).toBeCloseTo(Math.sqrt(7), 12)
  })

  it('never mixes versions, machines, parameters or quick runs', () => {
    const other = exampleResult()
    const elsewhere = { ...other, environment: { ...other.environment, machineId: 'other' } }
    const mixed = [other, exampleResult({ version: 'v2' }), exampleResult({ quick: true }), elsewhere]
    expect(summarise([...mixed, exampleResult({ params: { k: 1 } })])).toHaveLength(5)
  })

  it('prints a table for each task', () => {
    const table = describeResults(three)
    expect(table).toContain('test/example\nmethod')
    expect(table).toMatch(/a\s+none\s+3\s+3 ± 2\.646/)
    expect(describeResults([exampleResult({ quick: true })])).toContain('quick')
  })

  it('writes numbers short and columns aligned', () => {
    expect([0, 0.12345, 12_345.6, 1.5e-7, 2e9, 3].map(describeFigure)).toEqual([
      '0',
      '0.1235',
      '12346',
      '1.50e-7',
      '2.00e+9',
      '3',
    ])
    expect(
      alignColumns([
        ['a', 'bbb'],
        ['cccc', 'd'],
      ]),
    ).toBe('a     bbb\n────  ───\ncccc  d')
  })
})
