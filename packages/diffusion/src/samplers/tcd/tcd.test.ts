import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { mixtureDenoiser } from '../../golden/mixture.ts'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import type { Sampler } from '../../sampler.ts'
import { vpSchedule } from '../../schedules/vp/vp.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { tcd } from './tcd.ts'

describe.each(['cpu', 'wasm'] as const)('tcd on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(tcd, { calls: 4, draws: true, badOptions: { gamma: [-0.1, 1.1], schedule: [1, () => 0] } }))(
    '$name',
    ({ run }) => run(),
  )
  it.each(samplerChecks(tcd, { options: { gamma: 0.5, schedule: vpSchedule() }, calls: 4, draws: true }))(
    '$name',
    ({ run }) => run(),
  )

  it.each(schedulerRuns('TCDScheduler', backend))('agrees with diffusers: $id', (record) =>
    // It ends at its first timestep.
    expectSchedulerRun({ ...record, config: { ...record.config, set_alpha_to_one: false } }, tcd({ gamma: 0 })),
  )

  it('shares out the time of the schedule it is given', async () => {
    const x = key(1).normal([4, 2])
    const endOf = async (sampler: Sampler): Promise<number[]> => {
      const end = await sampler(mixtureDenoiser(), x, [-3, 0, 2], { key: key(2) })
      const values = Array.from(await end.data())
      end.dispose()
      return values
    }
    const schedule = vpSchedule()
    const times: number[] = []
    const watched = Object.assign(
      (time: number): number => {
        times.push(time)
        return schedule(time)
      },
      { timeOf: schedule.timeOf },
    )
    const ended = await endOf(tcd({ gamma: 0.25, schedule: watched }))
    times.forEach((time, i) => expect(time).toBeCloseTo(0.75 * schedule.timeOf([0, 2][i]!), 12))
    expect(times.length).toBe(2)
    expect(ended).not.toEqual(await endOf(tcd({ gamma: 0.25 })))
    x.dispose()
  })
})
