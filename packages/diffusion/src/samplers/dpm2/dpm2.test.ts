import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectMixtureRun, mixtureRuns } from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { dpm2 } from './dpm2.ts'

describe.each(['cpu', 'wasm'] as const)('dpm2 on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(dpm2, { calls: 8, forgets: true }))('$name', ({ run }) => run())

  it.each(mixtureRuns('dpm2'))('ends where the reference does: $id', (record) => expectMixtureRun(record, dpm2()))

  it.each(schedulerRuns('KDPM2DiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, dpm2()),
  )
})
