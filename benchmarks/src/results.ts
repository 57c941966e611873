import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { benchDirectory, publishedResults } from './places.ts'
import { type Artifact, type ClaimsFile, ClaimsFileSchema, type Result } from './result.ts'
import { canonicalJson } from './run-key.ts'
import { artifactFile, readResult, resultFiles } from './store.ts'

export {
  bootstrapInterval,
  type BootstrapOptions,
  type Interval,
  mean,
  median,
  standardDeviation,
} from './statistics.ts'
export { type MetricSummary, type Summary, summarise } from './summary.ts'

/** A result and where it lies. */
export interface StoredResult {
  readonly result: Result
  readonly file: string
  readonly source: 'local' | 'published'
  /** Where one of its pictures lies. */
  artifactPath(artifact: Artifact): string
}

export interface ReadResultsOptions {
  /** which stores are read; both by default */
  readonly sources?: readonly ('local' | 'published')[]
}

const stores = { local: (): string => join(benchDirectory(), 'results'), published: publishedResults }

function machineFolders(store: string): string[] {
  if (!existsSync(store)) return []
  return readdirSync(store, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(store, entry.name))
}

/** What stays the same when a run is done again, with other code or in full length. */
export function identityOf({ run, environment }: Result): string {
  const { task, method, params, seed, backend } = run
  return canonicalJson([task, method, params, seed, backend, environment.machineId])
}

/** Full runs before quick ones, of one version those with more peers and with figures, then the newest. */
function supersedes(a: Result, b: Result): boolean {
  if (a.run.quick !== b.run.quick) return b.run.quick
  const morePeers = (a.run.peers?.length ?? 0) - (b.run.peers?.length ?? 0)
  if (morePeers !== 0 && a.run.version === b.run.version) return morePeers > 0
  if ((a.status === 'ok') !== (b.status === 'ok') && a.run.version === b.run.version) return a.status === 'ok'
  return a.startedAt > b.startedAt
}

/**
 * Reads what was measured, here and in the committed results: the newest of each task, method, parameters, seed, backend
 * and machine; quick runs only where there is nothing full.
 * @throws TypeError when a file does not follow the schema
 */
export async function readResults(options: ReadResultsOptions = {}): Promise<StoredResult[]> {
  const newest = new Map<string, StoredResult>()
  for (const source of options.sources ?? (['published', 'local'] as const)) {
    for (const file of machineFolders(stores[source]()).flatMap(resultFiles)) {
      const result = readResult(file)
      const identity = identityOf(result)
      const known = newest.get(identity)
      // A local copy of a published result still has its private pictures.
      if (known !== undefined && known.result.key !== result.key && !supersedes(result, known.result)) continue
      newest.set(identity, { result, file, source, artifactPath: (artifact) => artifactFile(file, artifact) })
    }
  }
  return [...newest.values()].sort((a, b) => (a.file < b.file ? -1 : 1))
}

/**
 * Reads the verdicts on published claims, one file for each machine; those measured here replace the committed ones.
 * @throws TypeError when a file does not follow the schema
 */
export async function readClaims(): Promise<ClaimsFile[]> {
  const byMachine = new Map<string, ClaimsFile>()
  for (const store of [stores.published(), stores.local()]) {
    for (const file of machineFolders(store).map((folder) => join(folder, 'claims.json'))) {
      if (!existsSync(file)) continue
      const parsed = v.safeParse(ClaimsFileSchema, JSON.parse(readFileSync(file, 'utf8')))
      if (!parsed.success) throw new TypeError(`${file}: ${parsed.issues[0].message}`)
      byMachine.set(parsed.output.machineId, parsed.output)
    }
  }
  return [...byMachine.values()]
}

/** Quotes a word for a shell where it needs it. */
function quote(word: string): string {
  return /^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** The command that does a result's run again, from a fresh clone. */
export function reproduceCommand(result: Result): string {
  const { task, method, params, seed, backend, quick, peers = [] } = result.run
  const filters = Object.entries(params).flatMap(([name, value]) => ['--param', `${name}=${String(value)}`])
  const words = ['--task', task, '--method', method, ...filters, '--backend', backend, '--seed', String(seed)]
  const against = peers.length > 0 ? ['--peers', peers.join(',')] : []
  return ['npx -y pnpm@12 bench', ...[...words, ...against].map(quote), ...(quick ? ['--quick'] : []), '--force'].join(
    ' ',
  )
}
