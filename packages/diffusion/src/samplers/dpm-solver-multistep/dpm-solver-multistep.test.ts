import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectMixtureRun, mixtureRuns, passedStates } from '../../golden/mixture-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { goldenRecord } from '../../golden/golden.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { logSnrOfEdmSigma } from '../../noise-level.ts'
import { dpmSolverMultistep } from './dpm-solver-multistep.ts'

describe.each(['cpu', 'wasm'] as const)('dpm-solver-multistep on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(dpmSolverMultistep, {
      calls: 4,
      badOptions: { order: [0, 4], predicted: ['v'], solver: ['euler'], lowerOrderFinal: [1] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(dpmSolverMultistep, { options: { order: 3, predicted: 'noise', solver: 'heun' }, calls: 4 }))(
    '$name',
    ({ run }) => run(),
  )

  it.each(mixtureRuns('dpmpp2m'))('ends where the reference does: $id', (record) =>
    expectMixtureRun(record, dpmSolverMultistep({ lowerOrderFinal: false })),
  )

  it.each(mixtureRuns('dpmpp3m'))('ends where the reference does: $id', (record) =>
    expectMixtureRun(record, dpmSolverMultistep({ order: 3, lowerOrderFinal: false })),
  )

  it.each([
    ...schedulerRuns('DPMSolverMultistepScheduler', backend),
    ...schedulerRuns('EDMDPMSolverMultistepScheduler', backend),
  ])('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(
      record,
      dpmSolverMultistep({
        order: record.config['solver_order'] as number,
        predicted: record.config['algorithm_type'] === 'dpmsolver' ? 'noise' : 'denoised',
        solver: record.config['solver_type'] as 'midpoint' | 'heun',
        lowerOrderFinal: record.config['lower_order_final'] as boolean,
      }),
    ),
  )

  it('passes where the reference does, step by step', async () => {
    const { params, expected } = goldenRecord('gmm-dpmpp3m-karras-4-trajectory')
    const sampler = dpmSolverMultistep({ order: 3, lowerOrderFinal: false })
    const passed = await passedStates(sampler, (params['sigmas'] as number[]).map(logSnrOfEdmSigma))
    ;(expected['xAfterStep'] as number[][][]).forEach((state, step) =>
      state.flat().forEach((value, i) => expect(Math.abs(passed[step]![i]! - value)).toBeLessThan(2e-3)),
    )
  })
})
