import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { findPeer, setUpPeer } from './set-up-peer.ts'

let folder = ''
let told: string[] = []
const { signal } = new AbortController()
const setUp = (): ReturnType<typeof setUpPeer> => setUpPeer('torch', { signal, tell: (line) => told.push(line) })

/** A stand-in for Python that notes its arguments; as `-m venv` it puts itself into the new folder. */
function fakePython(pip: string): void {
  const program = join(folder, 'python3')
  writeFileSync(
    program,
    `#!/bin/sh
     echo "$*" >> ${folder}/calls
     case "$2" in
       venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
       pip) ${pip} ;;
     esac`,
  )
  chmodSync(program, 0o755)
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'peers-'))
  told = []
  vi.stubEnv('BENCH_DIR', join(folder, 'bench'))
  vi.stubEnv('BENCH_PEER_PYTHON', undefined)
  vi.stubEnv('PATH', [folder, '/usr/bin', '/bin'].join(delimiter))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

describe('setUpPeer', () => {
  it('makes a virtual environment with the pinned packages, once', async () => {
    fakePython('exit 0')
    const python = join(folder, 'bench', 'peers', 'torch', 'bin', 'python')
    expect(findPeer('torch')).toBeUndefined()
    expect(await setUp()).toEqual({ python })
    expect(told).toHaveLength(1)
    const calls = readFileSync(join(folder, 'calls'), 'utf8')
    expect(calls).toMatch(/-m venv .*torch\n-m pip install .*torch-requirements\.txt\n$/)
    expect(await setUp()).toEqual({ python })
    expect(findPeer('torch')).toBe(python)
    expect(readFileSync(join(folder, 'calls'), 'utf8')).toBe(calls)
  })

  it('makes it again when the pinned packages have changed', async () => {
    fakePython('exit 0')
    await setUp()
    writeFileSync(join(folder, 'bench', 'peers', 'torch', 'installed.txt'), 'torch==0.0.1\n')
    expect(findPeer('torch')).toBeUndefined()
    await setUp()
    expect(findPeer('torch')).toBeDefined()
  })

  it('gives the reason when the packages can not be had, and tries again', async () => {
    fakePython('echo collecting; echo "no space left" >&2; exit 1')
    expect(await setUp()).toEqual({ missing: expect.stringMatching(/pip install failed: no space left/) })
    expect(findPeer('torch')).toBeUndefined()
    fakePython('exit 0')
    expect(await setUp()).toHaveProperty('python')
  })

  it('gives the reason when there is no Python', async () => {
    vi.stubEnv('PATH', join(folder, 'nothing'))
    expect(await setUp()).toEqual({ missing: expect.stringMatching(/no Python 3\.10/) })
    expect(existsSync(join(folder, 'bench', 'peers', 'torch'))).toBe(false)
  })

  it('takes the Python that is named', async () => {
    vi.stubEnv('BENCH_PEER_PYTHON', process.execPath)
    expect(await setUp()).toEqual({ python: process.execPath })
    vi.stubEnv('BENCH_PEER_PYTHON', join(dirname(process.execPath), 'no-python'))
    expect(await setUp()).toEqual({ missing: expect.stringMatching(/no-python/) })
  })
})
