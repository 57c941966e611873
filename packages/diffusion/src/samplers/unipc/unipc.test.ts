import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectMixtureRun, mixtureGrid, mixtureRuns, sampleMixture } from '../../golden/mixture-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { dpmSolverMultistep } from '../dpm-solver-multistep/dpm-solver-multistep.ts'
import { unipc } from './unipc.ts'

describe.each(['cpu', 'wasm'] as const)('unipc on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(unipc, {
      calls: 4,
      badOptions: { order: [0, 4], variant: ['bh3'], predicted: ['v'], corrector: [1], lowerOrderFinal: [1] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(unipc, { options: { order: 3, variant: 'bh1', predicted: 'noise' }, calls: 4 }))(
    '$name',
    ({ run }) => run(),
  )

  it.each(mixtureRuns('unipc2'))('ends where the reference does: $id', (record) =>
    expectMixtureRun(record, unipc({ lowerOrderFinal: false })),
  )

  it.each(schedulerRuns('UniPCMultistepScheduler', backend))('agrees with diffusers: $id', ({ config, ...record }) =>
    expectSchedulerRun(
      { config, ...record },
      unipc({ order: config['solver_order'] as number, variant: config['solver_type'] as 'bh1' | 'bh2' }),
    ),
  )

  it('without its corrector is DPM-Solver++ of the same order', async () => {
    const grid = mixtureGrid('log', 6)
    const predictor = await sampleMixture(unipc({ corrector: false, lowerOrderFinal: false }), grid)
    const solver = await sampleMixture(dpmSolverMultistep({ lowerOrderFinal: false }), grid)
    predictor.forEach((value, i) => expect(value).toBeCloseTo(solver[i]!, 4))
  })
})
