import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectNoisyMixtureRun, noisyMixtureRuns } from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, noisyRuns, recordedNoise } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { sdeDpmSolverMultistep } from './sde-dpm-solver-multistep.ts'

describe.each(['cpu', 'wasm'] as const)('sde-dpm-solver-multistep on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(sdeDpmSolverMultistep, {
      calls: 4,
      draws: true,
      badOptions: { order: [0, 4], eta: [-1], solver: ['euler'], lowerOrderFinal: [1], noise: ['pink'] },
    }),
  )('$name', ({ run }) => run())
  it.each(
    samplerChecks(sdeDpmSolverMultistep, { options: { order: 3, eta: 0.5, noise: 'brownian' }, calls: 4, draws: true }),
  )('$name', ({ run }) => run())

  it.each(noisyMixtureRuns('sdeDpmpp2m'))('ends where the reference does: $id', (record) =>
    expectNoisyMixtureRun(
      record,
      sdeDpmSolverMultistep({ solver: record.params['solverType'] as 'midpoint', lowerOrderFinal: false }),
    ),
  )

  it.each(noisyRuns('DPMSolverMultistepScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, sdeDpmSolverMultistep({ order: record.config['solver_order'] as number }), {
      key: recordedNoise(),
    }),
  )
})
