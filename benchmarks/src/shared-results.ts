import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { localResults } from './places.ts'
import type { PlannedRun } from './plan.ts'
import type { Result } from './result.ts'
import { specKey } from './run-key.ts'
import { artifactFile, isFinished, resultFile, writeAtomically, writeResult } from './store.ts'

/** Runs one SQL statement, with `$1` placeholders. */
export type RunSql = (text: string, values?: unknown[]) => Promise<{ rows: unknown[] }>

/** The results of all machines that work on one queue. */
export interface SharedResults {
  /** Stores a result and its artifacts once; a failed one gives way to a better one. */
  record(result: Result, file: string): Promise<void>
  /** Writes what is stored for these runs to this machine's files. @returns the results found, by run key */
  collect(runs: readonly PlannedRun[]): Promise<Map<string, Result>>
}

interface Row {
  readonly spec: string
  readonly machine: string
  readonly result: Result
  readonly artifacts: Record<string, string>
}

/** Opens the table of results, and makes it when it is not there. */
export async function openSharedResults(sql: RunSql): Promise<SharedResults> {
  await sql(`create table if not exists bench_results (
    key text primary key, spec text not null, machine text not null, status text not null,
    result jsonb not null, artifacts jsonb not null, stored_at timestamptz not null default now())`)
  return {
    async record(result, file) {
      const artifacts = Object.fromEntries(
        (result.status === 'ok' ? result.artifacts : []).map((artifact) => [
          artifact.file,
          readFileSync(artifactFile(file, artifact)).toString('base64'),
        ]),
      )
      await sql(
        `insert into bench_results (key, spec, machine, status, result, artifacts)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (key) do update set status = excluded.status, result = excluded.result,
           artifacts = excluded.artifacts, stored_at = now()
         where bench_results.status = 'failed'`,
        [
          result.key,
          specKey(result.run),
          result.environment.machineId,
          result.status,
          JSON.stringify(result),
          JSON.stringify(artifacts),
        ],
      )
    },
    async collect(runs) {
      const { rows } = await sql(
        `select spec, machine, result, artifacts from bench_results where spec = any($1::text[]) order by stored_at`,
        [runs.map(({ spec }) => specKey(spec))],
      )
      const found = new Map<string, Result>()
      for (const run of runs) {
        for (const row of rows as Row[]) {
          const { result, artifacts } = row
          // Speed counts only where it was measured; quality may come from any machine.
          if (row.spec !== specKey(run.spec) || (run.timing && result.key !== run.key)) continue
          const folder = localResults(row.machine)
          const beside = dirname(resultFile(folder, result.run, result.key))
          for (const [name, bytes] of Object.entries(artifacts)) {
            writeAtomically(join(beside, name), Buffer.from(bytes, 'base64'))
          }
          writeResult(folder, result)
          if (!isFinished(found.get(run.key))) found.set(run.key, result)
        }
      }
      return found
    },
  }
}
