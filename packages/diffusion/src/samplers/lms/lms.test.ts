import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { lms } from './lms.ts'

describe.each(['cpu', 'wasm'] as const)('lms on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(lms, { calls: 4, badOptions: { order: [0, 5, 1.5] } }))('$name', ({ run }) => run())

  it.each(schedulerRuns('LMSDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, lms(), {
      prelude: true,
    }),
  )
})
