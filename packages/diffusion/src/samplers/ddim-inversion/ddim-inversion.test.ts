import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectSchedulerRun, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { samplerChecks } from '../sampler-checks.ts'
import * as tf from '@tensorflow/tfjs-core'
import { mixtureDenoiser } from '../../golden/mixture.ts'
import { ddim } from '../ddim/ddim.ts'
import { ddimInversion } from './ddim-inversion.ts'

describe.each(['cpu', 'wasm'] as const)('ddim-inversion on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(ddimInversion, { calls: 4, forgets: true, falling: true, badOptions: { refinements: [-1, 0.5] } }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(ddimInversion, { options: { refinements: 2 }, calls: 12, forgets: true, falling: true }))(
    '$name',
    ({ run }) => run(),
  )

  it.each(schedulerRuns('DDIMInverseScheduler', backend))('agrees with diffusers: $id', (record) =>
    expectSchedulerRun(record, ddimInversion()),
  )

  it('finds the noise from which DDIM makes the sample, the better the more it refines', async () => {
    const noise = key(3).normal([16, 2])
    const rising = Array.from({ length: 15 }, (_, i) => -4 + i / 2)
    const sample = await ddim()(mixtureDenoiser(), noise, rising)
    const errors: number[] = []
    for (const refinements of [0, 2, 8]) {
      const found = await ddimInversion({ refinements })(mixtureDenoiser(), sample, rising.toReversed())
      const off = tf.tidy(() => tf.mean(tf.abs(tf.sub(found, noise))))
      errors.push((await off.data())[0]!)
      tf.dispose([found, off])
    }
    tf.dispose([noise, sample])
    expect(errors[1]).toBeLessThan(errors[0]!)
    expect(errors[2]).toBeLessThan(errors[1]!)
    expect(errors[2]).toBeLessThan(errors[0]! / 4)
  })

  it('refuses to end in noise alone', async () => {
    const x = key(3).normal([2, 2])
    await expect(ddimInversion()(mixtureDenoiser(), x, [0, -Infinity])).rejects.toThrow(/^grid: .* -Infinity/)
    x.dispose()
  })
})
