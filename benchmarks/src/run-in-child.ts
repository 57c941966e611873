import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { SharedEnvironment } from './environment.ts'
import { benchDirectory } from './places.ts'
import type { Result, RunSpec } from './result.ts'

/** What a child is told to do. */
export interface Assignment {
  readonly spec: RunSpec
  readonly key: string
  /** the folder of this machine's results */
  readonly folder: string
  readonly environment: SharedEnvironment
}

/** What a child tells while it works and when it has stored its result. */
export type Message =
  | { readonly kind: 'progress'; readonly fraction: number; readonly note: string }
  | { readonly kind: 'stored'; readonly status: Result['status'] }

export interface RunInChildOptions {
  readonly signal: AbortSignal
  readonly onProgress: (fraction: number, note: string) => void
}

/** How long a child may take to stop before it is killed. */
const patience = 10_000
const tailLength = 4000

function tailOf(child: ChildProcess): () => string {
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (tail = (tail + text).slice(-tailLength)))
  }
  return () => tail.trim()
}

/**
 * Does one run in a process of its own, which stores the result.
 * @returns the status that the child stored
 * @throws the signal's reason when it was stopped; an Error with the end of its output when it crashed
 */
export async function runInChild(assignment: Assignment, options: RunInChildOptions): Promise<Result['status']> {
  const { signal, onProgress } = options
  signal.throwIfAborted()
  const child = fork(join(import.meta.dirname, 'worker.ts'), {
    // Compiled code is kept: children start in half the time.
    env: { NODE_COMPILE_CACHE: join(benchDirectory(), 'compiled'), ...process.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const tail = tailOf(child)
  let stored: Result['status'] | undefined
  let killer: NodeJS.Timeout | undefined
  const stop = (): void => {
    child.kill('SIGTERM')
    killer = setTimeout(() => child.kill('SIGKILL'), patience)
  }
  signal.addEventListener('abort', stop, { once: true })
  child.on('message', (message: Message) => {
    if (message.kind === 'progress') onProgress(message.fraction, message.note)
    else stored = message.status
  })
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, by) => resolve(by === null ? `exit code ${code}` : `signal ${by}`))
  })
  // A child that is already gone can't take its assignment; how it ended says why.
  child.send(assignment, () => {})
  try {
    const end = await ended
    if (stored !== undefined) return stored
    signal.throwIfAborted()
    throw new Error(`the process ended with ${end}${tail() === '' ? '' : `:\n${tail()}`}`)
  } finally {
    clearTimeout(killer)
    signal.removeEventListener('abort', stop)
  }
}
