import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectNoisyMixtureRun, noisyMixtureRuns } from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, noisyRuns, recordedNoise } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { eulerAncestral } from './euler-ancestral.ts'

describe.each(['cpu', 'wasm'] as const)('euler-ancestral on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(eulerAncestral, {
      calls: 4,
      draws: true,
      badOptions: { eta: [-0.1, 1.1], noise: ['pink'] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(eulerAncestral, { options: { eta: 0.6, noise: 'brownian' }, calls: 4, draws: true }))(
    '$name',
    ({ run }) => run(),
  )
  it.each(samplerChecks(eulerAncestral, { options: { eta: 0 }, calls: 4, forgets: true }))('$name', ({ run }) => run())

  it.each(noisyMixtureRuns('eulerAncestral'))('ends where the reference does: $id', (record) =>
    expectNoisyMixtureRun(record, eulerAncestral({ eta: record.params['eta'] as number })),
  )

  it.each(noisyRuns('EulerAncestralDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, eulerAncestral(), { key: recordedNoise() }),
  )
})
