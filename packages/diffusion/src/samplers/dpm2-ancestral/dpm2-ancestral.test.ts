import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { noisyRuns, recordedNoise, expectSchedulerRun } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { dpm2Ancestral } from './dpm2-ancestral.ts'

describe.each(['cpu', 'wasm'] as const)('dpm2-ancestral on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(dpm2Ancestral, {
      calls: 8,
      draws: true,
      badOptions: { eta: [-0.1, 1.1], noise: ['pink'] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(dpm2Ancestral, { options: { eta: 0.6, noise: 'brownian' }, calls: 8, draws: true }))(
    '$name',
    ({ run }) => run(),
  )

  // Upstream scales samples twice, which can be done on this backend alone.
  it.runIf(backend === 'cpu')('agrees with diffusers', async () => {
    for (const record of noisyRuns('KDPM2AncestralDiscreteScheduler', backend))
      await expectSchedulerRun(record, dpm2Ancestral(), { key: recordedNoise() })
  })
})
