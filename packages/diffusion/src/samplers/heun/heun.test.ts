import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  expectMixtureRun,
  expectNoisyMixtureRun,
  mixtureRuns,
  noisyMixtureRuns,
  passedStates,
} from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { goldenRecord } from '../../golden/golden.ts'
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

  it.each(noisyMixtureRuns('edmHeunChurn'))('ends where the reference does under given noise: $id', (record) => {
    const { params } = record
    const sampler = heun({
      churn: params['sChurn'] as number,
      churnMin: params['sMin'] as number,
      churnMax: params['sMax'] as number,
      churnNoise: params['sNoise'] as number,
    })
    return expectNoisyMixtureRun(record, sampler)
  })

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
