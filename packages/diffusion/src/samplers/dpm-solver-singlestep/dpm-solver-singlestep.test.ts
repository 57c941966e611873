import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { euler } from '../euler/euler.ts'
import { dpmSolverSinglestep } from './dpm-solver-singlestep.ts'

describe.each(['cpu', 'wasm'] as const)('dpm-solver-singlestep on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(dpmSolverSinglestep, {
      calls: 8,
      forgets: true,
      badOptions: { order: [0, 4], predicted: ['v'], points: ['none'], solver: ['euler'] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(dpmSolverSinglestep, { options: { order: 3, predicted: 'noise' }, calls: 12, forgets: true }))(
    '$name',
    ({ run }) => run(),
  )
  it.each(samplerChecks(dpmSolverSinglestep, { options: { order: 3, points: 'grid' }, calls: 4 }))('$name', ({ run }) =>
    run(),
  )

  it.each(schedulerRuns('DPMSolverSinglestepScheduler', backend))('agrees with diffusers: $id', (record) => {
    const sampler = dpmSolverSinglestep({ order: record.config['solver_order'] as number, points: 'grid' })
    if (record.t_start === undefined) return expectSchedulerRun(record, sampler)
    // A run that begins with a step of order 2 makes it one of order 1, for which it has all it needs.
    return expectSchedulerRun(record, async (denoiser, x, grid, options) => {
      const first = await euler()(denoiser, x, grid.slice(0, 2), options)
      const end = await sampler(denoiser, first, grid.slice(1), options)
      first.dispose()
      return end
    })
  })
})
