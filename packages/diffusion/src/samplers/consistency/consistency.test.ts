import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectSchedulerRun, noisyRuns, recordedNoise, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { clampDenoised } from '../../predictions/clamp-denoised.ts'
import type { Sampler } from '../../sampler.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { consistency } from './consistency.ts'

describe.each(['cpu', 'wasm'] as const)('consistency on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(consistency, { calls: 4, draws: true, badOptions: { sigmaMin: [-1] } }))('$name', ({ run }) =>
    run(),
  )

  const name = 'CMStochasticIterativeScheduler'
  it.each([...schedulerRuns(name, backend), ...noisyRuns(name, backend)])('agrees with diffusers: $id', (record) => {
    const clipped: Sampler = (denoiser, ...rest) => consistency()(clampDenoised()(denoiser), ...rest)
    return expectSchedulerRun(record, clipped, { key: record.noise === 'none' ? key(0) : recordedNoise() })
  })
})
