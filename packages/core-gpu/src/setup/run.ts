import { spawn } from 'node:child_process'

/** What a program printed, and how it ended; `code` is null where it could not be started. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export type Run = (command: string, args: readonly string[], options?: { readonly cwd?: string }) => Promise<Ran>

/**
 * A `Run` that `signal` ends together with the program.
 * @throws the signal's reason when it is aborted
 */
export function runner(signal: AbortSignal): Run {
  return (command, args, options = {}) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const child = spawn(command, args, { ...options, signal, stdio: ['ignore', 'pipe', 'pipe'] })
      const texts = { stdout: '', stderr: '' }
      for (const stream of ['stdout', 'stderr'] as const)
        child[stream].setEncoding('utf8').on('data', (part: string) => (texts[stream] += part))
      child.on('error', (error) => {
        if (!signal.aborted) resolve({ code: null, stdout: '', stderr: error.message })
      })
      child.on('close', (code) => (signal.aborted ? reject(signal.reason as Error) : resolve({ code, ...texts })))
    })
}

/** The last lines of what a program printed, for a message. */
export function lastLines({ stdout, stderr }: Ran, count = 12): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n')
  return lines.slice(-count).join('\n')
}
