import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { defineTask, SkippedError, type Task } from './define-task.ts'
import { benchDirectory } from './places.ts'

/** Writes down that a run began or ended, so that a test can count. */
function mark(what: string, name: string): void {
  const folder = join(benchDirectory(), 'marks')
  mkdirSync(folder, { recursive: true })
  appendFileSync(join(folder, name), `${what}\n`)
}

const shared = {
  family: 'test',
  summary: 'Takes a known time and leaves marks.',
  backends: ['none'],
  metrics: { value: { title: 'value', unit: 'fraction', better: 'higher' } },
  sources: ['benchmarks/src/sweep.fixture.ts'],
} as const

const steps = defineTask({
  ...shared,
  id: 'test/steps',
  title: 'Steps',
  methods: { a: [{ ms: 150 }, { ms: 151 }], b: [{ ms: 150 }] },
  seeds: 2,
  timing: false,
  async run({ run, signal, progress, artifact }) {
    const name = `${run.method}-${run.params.ms}-${run.seed}`
    mark(`begin ${process.pid}`, name)
    for (let step = 1; step <= 10; step++) {
      await pause(Number(run.params.ms) / 10, undefined, { signal })
      progress(step / 10, `step ${step}`)
    }
    const picture = await artifact('dot.png', 'A dot', Uint8Array.of(run.seed), { private: run.method === 'a' })
    mark('end', name)
    return { metrics: { value: [run.seed / 10] }, artifacts: [picture], facts: { steps: 10 }, device: { name: 'none' } }
  },
})

const faults = defineTask({
  ...shared,
  id: 'test/faults',
  title: 'Faults',
  methods: { crash: [{}], throw: [{}], nan: [{}], skip: [{}], fine: [{}] },
  seeds: 1,
  timing: false,
  async run({ run }) {
    mark('begin', run.method)
    if (run.method === 'crash') process.kill(process.pid, 'SIGKILL')
    if (run.method === 'crash') await pause(60_000)
    if (run.method === 'throw') throw new Error('the task broke')
    if (run.method === 'skip') throw new SkippedError('no such device')
    return { metrics: { value: [run.method === 'nan' ? Number.NaN : 1] }, device: {} }
  },
})

const timing = defineTask({
  ...shared,
  id: 'test/timing',
  title: 'Timing',
  methods: { a: [{}] },
  seeds: 2,
  timing: true,
  async run({ run }) {
    mark('begin', `timing-${run.seed}`)
    await pause(100)
    mark('end', `timing-${run.seed}`)
    return { metrics: { value: [1, 2, 3] }, device: {} }
  },
})

export const tasks: readonly Task[] = [steps, faults, timing]
