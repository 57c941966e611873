import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { rectifiedFlow } from './rectified-flow.ts'

describe.each(['cpu', 'wasm'] as const)('rectified-flow on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(rectifiedFlow, { calls: 4, forgets: true, badOptions: { order: [0, 3] } }))(
    '$name',
    ({ run }) => run(),
  )
  it.each(samplerChecks(rectifiedFlow, { options: { order: 2 }, calls: 8, forgets: true }))('$name', ({ run }) => run())

  it.each(schedulerRuns('FlowMatchEulerDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, rectifiedFlow()),
  )

  it.each(schedulerRuns('FlowMatchHeunDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, rectifiedFlow({ order: 2 })),
  )
})
