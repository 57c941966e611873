import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectMixtureRun, mixtureGrid, mixtureRuns, passedStates, sampleMixture } from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { givenNoise } from '../../golden/given-noise.ts'
import { goldenRecord, goldenRecords, noiseValues, numbersOf } from '../../golden/golden.ts'
import { logSnrOfEdmSigma } from '../../noise-level.ts'
import { heun } from './heun.ts'

describe.each(['cpu', 'wasm'] as const)('heun on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(heun, {
      calls: 8,
      forgets: true,
      badOptions: { churn: [-1], churnMin: [-1], churnMax: ['all'], churnNoise: [-1] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(heun, { options: { churn: 4 }, calls: 8, draws: true }))('$name', ({ run }) => run())

  it.each(mixtureRuns('heun'))('ends where the reference does: $id', (record) => expectMixtureRun(record, heun()))

  it.each(schedulerRuns('HeunDiscreteScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, heun()),
  )

  it.each(goldenRecords('gmm/stochastic').filter(({ params }) => params['sampler'] === 'edmHeunChurn'))(
    'ends where the reference does under given noise: $id',
    async ({ params, expected }) => {
      const sampler = heun({
        churn: params['sChurn'] as number,
        churnMin: params['sMin'] as number,
        churnMax: params['sMax'] as number,
        churnNoise: params['sNoise'] as number,
      })
      const grid = mixtureGrid('karras', params['n'] as number)
      const ends = await sampleMixture(sampler, grid, { key: givenNoise((k, i) => noiseValues(k, i + 1)[i]!) })
      numbersOf(expected['end']).forEach((value, i) => expect(Math.abs(ends[i]! - value)).toBeLessThan(2e-3))
    },
  )

  it('passes where the reference does, step by step', async () => {
    const { params, expected } = goldenRecord('gmm-heun-karras-4-trajectory')
    const states = expected['x'] as number[][][]
    const passed = await passedStates(heun(), (params['sigmas'] as number[]).map(logSnrOfEdmSigma))
    states
      .slice(1)
      .forEach((state, step) =>
        state.flat().forEach((value, i) => expect(Math.abs(passed[step]![i]! - value)).toBeLessThan(2e-3)),
      )
  })
})
