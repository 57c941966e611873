import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lock } from '../lock.ts'
import { benchDirectory, repositoryRoot } from '../places.ts'
import { writeAtomically } from '../store.ts'

export interface SetUpPeerOptions {
  readonly signal: AbortSignal
  /** hears what takes long, in a line */
  readonly tell: (line: string) => void
}

/** The program of a peer, or why this machine can't have it. */
export type Peer = { readonly python: string } | { readonly missing: string }

/** A peer's side of a comparison, a Python program. */
export function peerScript(name: string): string {
  return join(repositoryRoot(), 'benchmarks', 'peers', `${name}_peer.py`)
}

function requirementsOf(name: string): string {
  return join(repositoryRoot(), 'benchmarks', 'peers', `${name}-requirements.txt`)
}

function environmentOf(name: string): { folder: string; python: string; mark: string } {
  const folder = join(benchDirectory(), 'peers', name)
  const program = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']
  return { folder, python: join(folder, ...program), mark: join(folder, 'installed.txt') }
}

/** The Python of a peer that is set up: that which `BENCH_PEER_PYTHON` names, or that of its own virtual environment. */
export function findPeer(name: string): string | undefined {
  const named = process.env.BENCH_PEER_PYTHON
  if (named !== undefined) return named
  const { python, mark } = environmentOf(name)
  const current = existsSync(mark) && readFileSync(mark, 'utf8') === readFileSync(requirementsOf(name), 'utf8')
  return current && existsSync(python) ? python : undefined
}

/** Runs a program to its end. @throws Error with the last lines of what it said when it fails or is not there */
async function call(program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ${args.slice(0, 3).join(' ')} failed: ${lastLine(said)}`)
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

/** The first Python of this machine that can make virtual environments. */
async function anyPython(signal: AbortSignal): Promise<string | undefined> {
  for (const name of ['python3', 'python']) {
    try {
      await call(name, ['-c', 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10)'], signal)
      return name
    } catch {
      signal.throwIfAborted()
    }
  }
  return undefined
}

/**
 * Gets a peer ready: makes a virtual environment for it in `.bench/peers` the first time, with the pinned versions.
 * @returns its Python; or the reason when there is no Python 3.10 with `venv`, or the packages could not be installed
 */
export async function setUpPeer(name: string, options: SetUpPeerOptions): Promise<Peer> {
  const { signal, tell } = options
  const found = findPeer(name)
  if (found !== undefined) {
    return existsSync(found) ? { python: found } : { missing: `BENCH_PEER_PYTHON: there is no ${found}` }
  }
  const { folder, python, mark } = environmentOf(name)
  const unlock = lock(join(benchDirectory(), 'peers.lock'))
  try {
    const any = await anyPython(signal)
    if (any === undefined) return { missing: 'no Python 3.10 or later with venv on the path' }
    tell(`setting up ${name} in ${folder}; the first time this takes minutes`)
    rmSync(folder, { recursive: true, force: true })
    await call(any, ['-m', 'venv', folder], signal)
    const requirements = requirementsOf(name)
    const quiet = ['--disable-pip-version-check', '--quiet', '--no-input']
    await call(python, ['-m', 'pip', 'install', ...quiet, '--requirement', requirements], signal)
    writeAtomically(mark, readFileSync(requirements, 'utf8'))
    return { python }
  } catch (error) {
    signal.throwIfAborted()
    return { missing: error instanceof Error ? error.message : String(error) }
  } finally {
    unlock()
  }
}
