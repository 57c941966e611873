import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import type { Denoiser } from '../../denoiser.ts'
import { expectSchedulerRun, guided, noisyRuns, recordedNoise, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { clampDenoised } from '../../predictions/clamp-denoised.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { consistency } from './consistency.ts'

const clip = <Condition>(denoiser: Denoiser<Condition>): Denoiser<Condition> => clampDenoised<Condition>()(denoiser)

describe.each(['cpu', 'wasm'] as const)('consistency on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(consistency, { calls: 4, draws: true, badOptions: { sigmaMin: [-1] } }))('$name', ({ run }) =>
    run(),
  )

  const name = 'CMStochasticIterativeScheduler'
  it.each([...schedulerRuns(name, backend), ...noisyRuns(name, backend)])('agrees with diffusers: $id', (record) => {
    const clipped = guided(clip, consistency())
    return expectSchedulerRun(record, clipped, { key: record.noise === 'none' ? key(0) : recordedNoise() })
  })
})
