import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Result } from './result.ts'
import { readResult, resultFiles } from './store.ts'

// The real command line with a task of the test's, in processes that are really killed.
const here = import.meta.dirname
let template = ''
let bench = ''
const started: ChildProcess[] = []

beforeAll(async () => {
  // Making the queue's database takes seconds: once is enough.
  template = bench = mkdtempSync(join(tmpdir(), 'queue-'))
  // A damaged one must be replaced.
  mkdirSync(join(bench, 'queue'))
  writeFileSync(join(bench, 'queue', 'PG_VERSION'), 'damaged')
  expect((await start('bench', '--task', 'test/timing').ended).code).toBe(0)
  started.length = 0
})
afterAll(() => rmSync(template, { recursive: true }))
beforeEach(() => {
  bench = mkdtempSync(join(tmpdir(), 'bench-'))
})
afterEach(async () => {
  for (const child of started.splice(0)) {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It ended as it should.
    }
  }
  await pause(50)
  rmSync(bench, { recursive: true, force: true, maxRetries: 5 })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Starts the command line in a process group of its own. */
function start(...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [join(here, 'cli.ts'), ...args], {
    detached: true,
    env: {
      ...process.env,
      BENCH_DIR: bench,
      BENCH_TASKS: join(here, 'sweep.fixture.ts'),
      DATABASE_URL: undefined,
      NODE_COMPILE_CACHE: join(template, 'compiled'),
    },
  })
  started.push(child)
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, out, err })) }
}

const steps = ['bench', '--task', 'test/steps', '--concurrency', '2']
const runs = 6

/** Results by run; empty before the first one. */
function results(): Map<string, Result> {
  const folder = join(bench, 'results')
  const files = existsSync(folder) ? readdirSync(folder).flatMap((machine) => resultFiles(join(folder, machine))) : []
  return new Map(
    files.map(readResult).map((result) => {
      const { method, params, seed } = result.run
      return [[method, params.ms, seed].filter((part) => part !== undefined).join('-'), result]
    }),
  )
}

/** How often a run began (its process each time) and ended. */
function marks(name: string): { begun: number[]; ended: number } {
  const file = join(bench, 'marks', name)
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  const begun = lines.filter((line) => line.startsWith('begin')).map((line) => Number(line.split(' ')[1]))
  return { begun, ended: lines.filter((line) => line === 'end').length }
}

function allMarks(): [string, { begun: number[]; ended: number }][] {
  return existsSync(join(bench, 'marks')) ? readdirSync(join(bench, 'marks')).map((name) => [name, marks(name)]) : []
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !condition(); await pause(10)) {
    if (Date.now() > deadline) throw new Error('waited for too long')
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

/** What must be true once a sweep that was cut off has been started again and is through. */
function expectResumed(before: ReadonlyMap<string, Result>, code: number | null): void {
  expect(code).toBe(0)
  const after = results()
  expect([...after.values()].map(({ status }) => status)).toEqual(Array.from({ length: runs }, () => 'ok'))
  // What was stored before is untouched and was never begun again.
  for (const [name, result] of before) {
    expect(after.get(name)).toEqual(result)
    expect(marks(name)).toMatchObject({ begun: { length: 1 }, ended: 1 })
  }
  const again = allMarks().filter(([, { begun }]) => begun.length > 1)
  expect(again.length).toBeLessThanOrEqual(2)
}

describe('a sweep', () => {
  beforeEach(() => cpSync(join(template, 'queue'), join(bench, 'queue'), { recursive: true }))

  it('goes on after kill -9 of the whole process group', async () => {
    const first = start(...steps)
    await until(() => results().size >= 2)
    process.kill(-first.child.pid!, 'SIGKILL')
    await first.ended
    const before = results()
    expect(before.size).toBeLessThan(runs)
    const second = await start(...steps).ended
    expectResumed(before, second.code)
    expect(second.err).toContain(`${before.size} of ${runs} runs were there already`)
    const count = allMarks().reduce((sum, [, { begun }]) => sum + begun.length, 0)
    const third = await start(...steps).ended
    expect([third.code, allMarks().reduce((sum, [, { begun }]) => sum + begun.length, 0)]).toEqual([0, count])
    expect(third.out).toBe(second.out)
  })

  it('goes on after kill -9 of the coordinator alone, whose children then end by themselves', async () => {
    const first = start(...steps)
    await until(() => results().size >= 2)
    first.child.kill('SIGKILL')
    await first.ended
    const children = allMarks().flatMap(([, { begun }]) => begun)
    await until(() => !children.some(isAlive))
    const before = results()
    // Wide enough that no run has to wait in the queue.
    const { code } = await start(...steps, '--concurrency', '4').ended
    expectResumed(before, code)
  })

  it('stops at Ctrl-C with exit code 130, leaves no child and goes on later', async () => {
    const first = start(...steps)
    await until(() => results().size >= 2)
    process.kill(-first.child.pid!, 'SIGINT')
    const { code, err } = await first.ended
    expect(code).toBe(130)
    expect(err).toContain('the next start goes on from here')
    expect(
      allMarks()
        .flatMap(([, { begun }]) => begun)
        .some(isAlive),
    ).toBe(false)
    expect(existsSync(join(bench, 'sweep.lock'))).toBe(false)
    const before = results()
    expect([...before.values()].every(({ status }) => status === 'ok')).toBe(true)
    expectResumed(before, (await start(...steps, '--concurrency', '4').ended).code)
  })

  it('stores crashes and errors, goes on, exits with 1 and tries only those again', async () => {
    const sweep = ['bench', '--task', 'test/faults', '--concurrency', '5']
    const first = await start(...sweep).ended
    expect(first.code).toBe(1)
    const of = (name: string): unknown => {
      const { status, ...rest } = results().get(`${name}-0`)! as { status: string; error?: string; reason?: string }
      return [status, (rest.error ?? rest.reason ?? '').split('\n')[0]]
    }
    expect(of('crash')).toEqual(['failed', 'the process ended with signal SIGKILL'])
    expect(of('throw')).toEqual(['failed', 'Error: the task broke'])
    expect(of('nan')).toEqual(['failed', expect.stringContaining('NaN')])
    expect(of('skip')).toEqual(['skipped', 'no such device'])
    expect(of('fine')).toEqual(['ok', ''])
    expect(first.err).toContain('failed: test/faults throw seed 0 on none: Error: the task broke')
    const second = await start(...sweep).ended
    expect(second.code).toBe(1)
    const begun = Object.fromEntries(allMarks().map(([name, mark]) => [name, mark.begun.length]))
    expect(begun).toEqual({ crash: 2, throw: 2, nan: 2, skip: 1, fine: 1 })
  })

  it('measures speed alone and does finished runs again only by force', async () => {
    const sweep = ['bench', '--task', 'test/timing', '--concurrency', '4']
    expect((await start(...sweep).ended).code).toBe(0)
    expect([...results().values()].map(({ environment }) => environment.concurrency)).toEqual([1, 1])
    const times = [...results().values()].map(
      ({ startedAt, seconds }) => [Date.parse(startedAt), seconds * 1000] as const,
    )
    const [one, other] = times.sort(([a], [b]) => a - b)
    expect(other![0]).toBeGreaterThanOrEqual(one![0] + one![1] - 5)
    expect((await start(...sweep, '--force', '--seeds', '1').ended).code).toBe(0)
    expect(['timing-0', 'timing-1'].map((name) => marks(name).ended)).toEqual([2, 1])
  })

  it('is alone in its folder, but a dead one does not count', async () => {
    const first = start(...steps)
    await until(() => results().size >= 1)
    const second = await start(...steps).ended
    expect(second.code).toBe(1)
    expect(second.err).toContain(`another sweep works in ${bench} (process ${first.child.pid})`)
    process.kill(-first.child.pid!, 'SIGKILL')
    await first.ended
    expect(existsSync(join(bench, 'sweep.lock'))).toBe(true)
    expect((await start(...steps, '--method', 'b').ended).code).toBe(0)
  })
})

describe('the command line', () => {
  it.each([
    [['bench', '--task', 'test/none'], 'task: unknown "test/none"; known: test/faults'],
    [['bench', '--seeds', '0'], '--seeds: expected a whole number from 1 up, got "0"'],
    [['bensh'], 'unknown command "bensh"'],
    [['bench', '--fast'], "Unknown option '--fast'"],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { code, err } = await start(...args).ended
    expect(code).toBe(2)
    expect(err).toContain(message)
    expect(err).not.toContain('    at ')
  })

  it('explains itself', async () => {
    const { code, out } = await start('--help').ended
    expect(code).toBe(0)
    for (const word of ['bench', 'claims', 'demo', 'publish', '--concurrency', 'DATABASE_URL'])
      expect(out).toContain(word)
  })
})
