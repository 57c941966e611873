import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import { sdeDpmSolverSinglestep } from './sde-dpm-solver-singlestep.ts'

describe.each(['cpu', 'wasm'] as const)('sde-dpm-solver-singlestep on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(sdeDpmSolverSinglestep, {
      calls: 8,
      draws: true,
      badOptions: { eta: [-0.1, 1.1], noise: ['pink'] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(sdeDpmSolverSinglestep, { options: { eta: 0.6, noise: 'brownian' }, calls: 8, draws: true }))(
    '$name',
    ({ run }) => run(),
  )
})
