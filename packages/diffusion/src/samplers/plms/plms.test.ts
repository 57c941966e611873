import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { plms } from './plms.ts'

describe.each(['cpu', 'wasm'] as const)('plms on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(plms, { calls: 5 }))('$name', ({ run }) => run())

  it.each(schedulerRuns('PNDMScheduler', backend, /plms/))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, plms()),
  )
})
