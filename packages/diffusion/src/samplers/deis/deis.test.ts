import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { deis } from './deis.ts'

describe.each(['cpu', 'wasm'] as const)('deis on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(deis, { calls: 4, badOptions: { order: [0, 4], lowerOrderFinal: [1] } }))('$name', ({ run }) =>
    run(),
  )

  it.each(schedulerRuns('DEISMultistepScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, deis({ order: record.config['solver_order'] as number })),
  )
})
