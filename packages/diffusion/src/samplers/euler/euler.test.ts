import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectMixtureRun, mixtureRuns } from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { euler } from './euler.ts'

describe.each(['cpu', 'wasm'] as const)('euler on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(euler, { calls: 4, forgets: true }))('$name', ({ run }) => run())

  it.each(mixtureRuns('euler'))('ends where the reference does: $id', (record) => expectMixtureRun(record, euler()))

  it.each(schedulerRuns('EulerDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, euler()),
  )

  it.each(schedulerRuns('EDMEulerScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, euler()),
  )
})
