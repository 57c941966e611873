import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { bench } from './commands/bench.ts'
import { checkClaims } from './commands/claims.ts'
import { demo } from './commands/demo.ts'
import { publish } from './commands/publish.ts'
import { loadTasks } from './load-tasks.ts'
import type { Selection } from './plan.ts'

const help = `Usage: node src/cli.ts <command> [options]

Commands
  bench     does the selected runs that are not finished and prints a table for each task
  claims    does the runs that the published claims need and prints a verdict on each claim
  demo      measures the quantizers, builds the site and serves it
  publish   copies this machine's results, without private pictures, to benchmarks/results

Options (filters may be repeated, or hold several names with commas between)
  --family, --task, --method, --backend <name>   only these
  --param <name>=<value>                         only runs with this parameter
  --seeds <count>                                the first so many seeds
  --seed <number>                                exactly these seeds
  --peers <name>                                 also measures these programs in turns with the kernels: torch
  --quick                                        short runs, to try things; never used for claims
  --concurrency <count>                          how many runs side by side (all cores); speed is measured alone
  --force                                        does finished runs again
  --no-serve                                     demo: ends when the site is built
  --help

A run that failed is tried again at the next start. A sweep may be stopped or killed at any time: the next start goes on.
With DATABASE_URL (PostgreSQL) several machines share one sweep.`

const list = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const
const options = {
  family: list,
  task: list,
  method: list,
  backend: list,
  param: list,
  seeds: { type: 'string' },
  seed: list,
  peers: list,
  quick: flag,
  concurrency: { type: 'string' },
  force: flag,
  serve: flag,
  help: { type: 'boolean', short: 'h' },
} as const

function split(values: readonly string[] | undefined): string[] | undefined {
  return values?.flatMap((value) => value.split(',')).map((name) => name.trim())
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < least || text.trim() === '') {
    throw new RangeError(`--${name}: expected a whole number from ${least} up, got "${text}"`)
  }
  return value
}

function parameter(text: string): [string, string] {
  const place = text.indexOf('=')
  if (place < 1) throw new RangeError(`--param: expected <name>=<value>, got "${text}"`)
  return [text.slice(0, place), text.slice(place + 1)]
}

/** Runs a command. @returns the exit code */
async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, allowNegative: true })
  const [command, ...surplus] = positionals
  if (values.help === true || command === undefined) {
    console.log(help)
    return values.help === true ? 0 : 2
  }
  if (surplus.length > 0) throw new RangeError(`unexpected argument "${surplus[0]}"`)
  const seeds = split(values.seed)?.map((seed) => whole('seed', seed, 0))
  const filters = { families: split(values.family), tasks: split(values.task), methods: split(values.method) }
  const selection: Selection = {
    ...Object.fromEntries(Object.entries(filters).filter(([, names]) => names !== undefined)),
    ...(values.backend && { backends: split(values.backend) ?? [] }),
    ...(values.param && { params: Object.fromEntries(values.param.map(parameter)) }),
    ...(values.seeds !== undefined && { seeds: whole('seeds', values.seeds, 1) }),
    ...(seeds && { seed: seeds }),
    ...(values.peers && { peers: split(values.peers) ?? [] }),
    ...(values.quick === true && { quick: true }),
  }
  const concurrency =
    values.concurrency === undefined ? availableParallelism() : whole('concurrency', values.concurrency, 1)
  const runOptions = { concurrency, force: values.force === true, signal }
  switch (command) {
    case 'bench':
      return bench(await loadTasks(), selection, runOptions)
    case 'claims':
      return checkClaims(await loadTasks(), runOptions)
    case 'demo':
      return demo(await loadTasks(), { ...runOptions, serve: values.serve !== false })
    case 'publish':
      return publish()
    default:
      throw new RangeError(`unknown command "${command}"; known: bench, claims, demo, publish`)
  }
}

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Who asks twice does not want to wait for anything.
    if (stop.signal.aborted) process.exit(130)
    stop.abort(new Error(`stopped by ${name}`))
  })
}
try {
  process.exitCode = await main(process.argv.slice(2), stop.signal)
} catch (error) {
  if (stop.signal.aborted) {
    console.error('stopped; the next start goes on from here')
    process.exitCode = 130
  } else {
    // Wrong arguments need no stack.
    const usage = error instanceof RangeError || (error instanceof TypeError && 'code' in error)
    console.error(error instanceof Error ? (usage ? error.message : (error.stack ?? error.message)) : error)
    process.exitCode = usage ? 2 : 1
  }
}
