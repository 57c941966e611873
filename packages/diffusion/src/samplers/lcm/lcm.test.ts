import type { Denoiser } from '../../denoiser.ts'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import {
  expectSchedulerRun,
  guided,
  noisyRuns,
  recordedNoise,
  schedulerRuns,
  tableOf,
} from '../../golden/scheduler-runs.ts'
import { lcmBoundary } from '../../predictions/consistency-boundary.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { lcm } from './lcm.ts'

describe.each(['cpu', 'wasm'] as const)('lcm on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(lcm, { calls: 4, draws: true }))('$name', ({ run }) => run())

  it.each([...schedulerRuns('LCMScheduler', backend), ...noisyRuns('LCMScheduler', backend)])(
    'agrees with diffusers: $id',
    (record) => {
      const { timestepOf } = tableOf(record)
      const bounded = guided(
        <Condition>(denoiser: Denoiser<Condition>) => lcmBoundary<Condition>({ timestepOf })(denoiser),
        lcm(),
      )
      return expectSchedulerRun(record, bounded, { key: record.noise === 'none' ? key(0) : recordedNoise() })
    },
  )
})
