import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import type { Task } from '../define-task.ts'
import { idOfMachine, thisMachine } from '../environment.ts'
import { repositoryRoot } from '../places.ts'
import { planRuns, type Selection } from '../plan.ts'
import { listenFrom, staticSite } from '../serve.ts'
import { describeResults } from '../table.ts'
import { judgeStoredClaims } from './claims.ts'
import { anyFailed, type RunOptions, sweepRuns } from './sweep-runs.ts'

export interface DemoOptions extends RunOptions {
  /** whether to serve the site at the end */
  readonly serve: boolean
}

/** Five of the quantizers: all of them would take a quarter of an hour. */
const methods = ['vq', 'vq-ema', 'rotation', 'simvq', 'fsq']

/** What the demo measures: quantizers on digits and on a plain cloud of points. */
const selections: readonly Selection[] = [
  { tasks: ['vq/digits'], methods, backends: ['wasm'], usualOnly: true },
  { tasks: ['vq/codebook'], methods: ['vq', 'simvq'], backends: ['wasm'] },
]

/** Runs a program with this Node first on the path. @returns what it said, and whether it succeeded */
async function runQuietly(program: string, args: readonly string[], signal: AbortSignal): Promise<[string, boolean]> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`
  const child = spawn(program, args, {
    cwd: repositoryRoot(),
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return [output, code === 0]
}

/** Builds the site; what the builder says matters only when it fails. */
async function buildSite(signal: AbortSignal): Promise<void> {
  const build = ['--filter', '@x/site', 'run', 'build']
  const [output, built] = await runQuietly('pnpm', build, signal).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return runQuietly('npx', ['-y', 'pnpm@12', ...build], signal)
  })
  if (!built) throw new Error(`the site could not be built:\n${output}`)
}

/**
 * Measures the quantizers, judges the claims, builds the site and serves it until Ctrl-C.
 * @returns the exit code: 1 when a run failed
 */
export async function demo(tasks: readonly Task[], options: DemoOptions): Promise<number> {
  const { signal } = options
  const machineId = idOfMachine(thisMachine())
  const known = new Set(tasks.map(({ id }) => id))
  const runs = selections
    .filter((selection) => selection.tasks?.every((id) => known.has(id)))
    .flatMap((selection) => planRuns(tasks, selection, machineId))
  console.error(`${runs.length} training runs, each in a process of its own, ${options.concurrency} side by side`)
  const results = await sweepRuns(runs, options)
  console.log(`${describeResults([...results.values()])}\n`)
  judgeStoredClaims(tasks)
  const code = anyFailed(results) ? 1 : 0

  const site = join(repositoryRoot(), 'apps', 'site')
  console.error('\nbuilding the site ...')
  await buildSite(signal)
  if (!options.serve) return code
  const folder = join(site, 'dist')
  if (!existsSync(folder)) throw new Error(`the site's build left nothing in ${folder}`)
  const base = process.env.SITE_BASE ?? '/'
  const server = staticSite(folder, { base })
  const port = await listenFrom(server, 4321)
  console.log(`\nThe site is at http://localhost:${port}${base} - Ctrl-C ends it.`)
  if (!signal.aborted) await once(signal, 'abort')
  server.close()
  server.closeAllConnections()
  return code
}
