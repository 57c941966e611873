import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { expectMixtureRun, mixtureRuns } from '../../golden/mixture-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import * as tf from '@tensorflow/tfjs-core'
import { expectSchedulerRun, noisyRuns, recordedNoise, schedulerRuns, tableOf } from '../../golden/scheduler-runs.ts'
import { ddim } from './ddim.ts'

describe.each(['cpu', 'wasm'] as const)('ddim on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(ddim, { calls: 4, forgets: true, badOptions: { eta: [-0.1, 1.1] } }))('$name', ({ run }) =>
    run(),
  )
  it.each(samplerChecks(ddim, { options: { eta: 1 }, calls: 4, draws: true }))('$name', ({ run }) => run())

  it.each(mixtureRuns('ddim'))('ends where the reference does: $id', (record) => expectMixtureRun(record, ddim()))

  it.each(schedulerRuns('DDIMScheduler', backend))('agrees with diffusers: $id', (record) => {
    if (record.config['timestep_spacing'] !== 'linspace') return expectSchedulerRun(record, ddim())
    // It steps by 1000 / n timesteps, though the next call is elsewhere.
    const { levelOf, timestepOf } = tableOf(record)
    return expectSchedulerRun(record, async (denoiser, x, grid, options) => {
      let at = tf.clone(x)
      for (const level of grid.slice(0, -1)) {
        const timestep = Math.round(timestepOf(level)) - 100
        const next = await ddim()(denoiser, at, [level, timestep < 0 ? Infinity : levelOf(timestep)], options)
        at.dispose()
        at = next
      }
      return at
    })
  })

  it('agrees with diffusers under given noise', async () => {
    for (const record of noisyRuns('DDIMScheduler', backend))
      await expectSchedulerRun(record, ddim({ eta: 1 }), { key: recordedNoise() })
  })
})
