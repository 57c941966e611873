import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { dataDir } from '@electric-sql/pglite-prepopulatedfs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { exampleResult, failedResult } from './example-result.fixture.ts'
import { localResults } from './places.ts'
import type { PlannedRun } from './plan.ts'
import type { OkResult, Result } from './result.ts'
import { runKey } from './run-key.ts'
import { openSharedResults, type SharedResults } from './shared-results.ts'
import { findResult, resultFile, writeAtomically, writeResult } from './store.ts'

// The table that machines share on PostgreSQL, here in an embedded one.
let database: PGlite
let shared: SharedResults
let root = ''
const planned = (result: Result, timing = false): PlannedRun => ({ spec: result.run, key: result.key, timing })

beforeAll(async () => {
  database = await PGlite.create({ loadDataDir: await dataDir() })
})
afterAll(() => database.close())
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'shared-'))
  vi.stubEnv('BENCH_DIR', root)
  await database.exec('drop table if exists bench_results')
  shared = await openSharedResults((text, values) => database.query(text, values))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(root, { recursive: true })
})

function store(result: Result): string {
  return writeResult(localResults(result.environment.machineId), result)
}

describe('shared results', () => {
  it('bring a result and its pictures to another machine', async () => {
    const bare = exampleResult()
    const artifacts = [
      { title: 'A dot', file: `a-s0-${bare.key.slice(0, 8)}/dot.png`, kind: 'image' as const, private: true },
    ]
    const result: OkResult = { ...bare, artifacts }
    const file = store(result)
    const picture = join(file, '..', artifacts[0]!.file)
    writeAtomically(picture, Uint8Array.of(1, 2, 255))
    await shared.record(result, file)
    rmSync(join(root, 'results'), { recursive: true })
    expect((await shared.collect([planned(result)])).get(result.key)).toEqual(result)
    expect(findResult(localResults('m0000000'), result.run, result.key)).toEqual(result)
    expect([...readFileSync(picture)]).toEqual([1, 2, 255])
  })

  it('store a finished run once, and let a better one take the place of a failed one', async () => {
    const ok = exampleResult()
    await shared.record(failedResult(), store(failedResult()))
    expect((await shared.collect([planned(ok)])).get(ok.key)?.status).toBe('failed')
    await shared.record(ok, store(ok))
    await shared.record({ ...ok, seconds: 99 }, store(ok))
    expect((await shared.collect([planned(ok)])).get(ok.key)?.seconds).toBe(1)
    expect((await database.query('select * from bench_results')).rows).toHaveLength(1)
  })

  it('count quality from any machine, speed from machines of one kind', async () => {
    const here = exampleResult()
    await shared.record(here, store(here))
    const elsewhere = { ...planned(here), key: runKey(here.run, 'another') }
    expect((await shared.collect([elsewhere])).get(elsewhere.key)?.key).toBe(here.key)
    expect((await shared.collect([{ ...elsewhere, timing: true }])).size).toBe(0)
    expect((await shared.collect([planned(here, true)])).size).toBe(1)
    expect(resultFile(root, here.run, here.key)).toContain('a-s0')
  })

  it('know nothing of other runs', async () => {
    const result = exampleResult()
    await shared.record(result, store(result))
    expect((await shared.collect([planned(exampleResult({ seed: 5 }))])).size).toBe(0)
  })
})
