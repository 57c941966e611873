#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { lastLines, runner } from './run.ts'
import { SetupError } from './setup-error.ts'
import { type SetupTools, setupTensorFlow } from './setup-tensorflow.ts'
import { type TriedBuild, tryBuild } from './try-build.ts'

const usage = `x-core setup-tensorflow [options]

Builds native TensorFlow for useBackend('tensorflow') of @x/core-gpu.
Needs Python 3.9 or newer with pip, and a C++ compiler.

  --gpu          the CUDA build, for useBackend('tensorflow-gpu')
  --python PATH  the Python to look for TensorFlow in, and to fetch it with
  --wheel FILE   a wheel of TensorFlow, instead of an installed or fetched one
  --dir DIR      where the result goes, instead of the user's cache folder
  --force        build again what is built already
  --help         this text`

/** Runs one command; resolves with the exit code. */
async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args
  // What `setup-tensorflow` calls in a new process: a library that does not fit may end it.
  if (command === 'try-build') {
    console.log(JSON.stringify(await tryBuild(JSON.parse(rest[0]!) as Parameters<typeof tryBuild>[0])))
    return 0
  }
  const { values, problem } = readOptions(rest)
  if (values?.help === true || command === '--help' || command === undefined) {
    console.log(usage)
    return 0
  }
  if (command !== 'setup-tensorflow' || values === undefined) {
    console.error(`${problem ?? `unknown command: ${command}`}\n\n${usage}`)
    return 2
  }
  return setUp({ ...values, gpu: values.gpu === true, force: values.force === true })
}

function readOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        gpu: { type: 'boolean' },
        python: { type: 'string' },
        wheel: { type: 'string' },
        dir: { type: 'string' },
        force: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return { values }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

async function setUp(options: Parameters<typeof setupTensorFlow>[0]): Promise<number> {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)))
  const run = runner(interrupted.signal)
  const tools: SetupTools = {
    run,
    say: (line) => console.log(line),
    tryBuild: async (build) => {
      const ran = await run(process.execPath, [
        ...process.execArgv,
        process.argv[1]!,
        'try-build',
        JSON.stringify(build),
      ])
      if (ran.code !== 0) throw new Error(lastLines(ran))
      return JSON.parse(ran.stdout.trim().split('\n').at(-1)!) as TriedBuild
    },
  }
  try {
    await setupTensorFlow(options, tools)
    return 0
  } catch (error) {
    if (interrupted.signal.aborted) {
      console.error('interrupted; nothing was changed')
      return 130
    }
    if (!(error instanceof SetupError)) throw error
    console.error(error.message)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
