import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Denoiser } from '../../denoiser.ts'
import { givenNoise } from '../../golden/given-noise.ts'
import { goldenRecords, noiseValues, numbersOf, type SchedulerRecord, sineTensor } from '../../golden/golden.ts'
import { mixtureDenoiser } from '../../golden/mixture.ts'
import { expectNoisyMixtureRun, noisyMixtureRuns } from '../../golden/mixture-runs.ts'
import { expectSchedulerRun, guided, noisyRuns, recordedNoise } from '../../golden/scheduler-runs.ts'
import { clampDenoised } from '../../predictions/clamp-denoised.ts'
import { learnedVarianceDenoiser } from '../../predictions/learned-variance.ts'
import { vpParameterisation } from '../../predictions/parameterisation.ts'
import type { Sampler } from '../../sampler.ts'
import { ddim } from '../ddim/ddim.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { ddpm } from './ddpm.ts'

/** A record without timesteps goes through all of them. */
function withTimesteps(record: SchedulerRecord): SchedulerRecord {
  return { timesteps: Array.from({ length: 1000 }, (_, i) => 999 - i), ...record }
}

const clip = <Condition>(denoiser: Denoiser<Condition>): Denoiser<Condition> => clampDenoised<Condition>()(denoiser)

describe.each(['cpu', 'wasm'] as const)('ddpm on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(ddpm, {
      calls: 4,
      draws: true,
      badOptions: { variance: ['medium', 1], noise: ['pink'] },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(ddpm, { options: { variance: 'large', noise: 'brownian' }, calls: 4, draws: true }))(
    '$name',
    ({ run }) => run(),
  )

  it.each(noisyMixtureRuns('eulerAncestral'))('ends where the reference does: $id', (record) =>
    expectNoisyMixtureRun(record, ddpm()),
  )

  it.each(noisyRuns('DDPMScheduler', backend))('agrees with diffusers: $id', (record) => {
    const sampler = ddpm({ variance: record.config['variance_type'] === 'fixed_large' ? 'large' : 'small' })
    const clipped = guided(clip, sampler)
    return expectSchedulerRun(withTimesteps(record), clipped, { key: recordedNoise() })
  })

  it.each(goldenRecords('step'))('makes the step of the reference: $id', async ({ params, inputs, expected }) => {
    const [x, clean] = [sineTensor(inputs!['x']!), sineTensor(inputs!['x0hat']!)]
    const grid = [params['logSnrT'] as number, params['logSnrS'] as number]
    const given = givenNoise((_, i) => noiseValues(0, 6)[i]!)
    const stepOf = async (sampler: Sampler, noise = given): Promise<number[]> => {
      const end = await sampler(() => tf.clone(clean), x, grid, { key: noise })
      const values = Array.from(await end.data())
      end.dispose()
      return values
    }
    const close = (values: readonly number[], reference: readonly number[]): void =>
      values.forEach((value, i) => expect(value).toBeCloseTo(reference[i]!, 5))
    const mean = numbersOf(expected['ddpmMean'])
    close(await stepOf(ddpm()), numbersOf(expected['ddpm']))
    close(
      await stepOf(
        ddpm(),
        givenNoise(() => 0),
      ),
      mean,
    )
    close(await stepOf(ddim()), numbersOf(expected['ddim']))
    const large = Math.sqrt(expected['ancestralVarUpper'] as number)
    close(
      await stepOf(ddpm({ variance: 'large' })),
      mean.map((value, i) => value + large * noiseValues(0, 6)[i]!),
    )
    tf.dispose([x, clean])
  })

  it('takes the variance that a denoiser has learned', async () => {
    const exact = mixtureDenoiser()
    const grid = [-3, -1, 0.5, 2, Infinity]
    const x = key(1).normal([5, 2])
    const endOf = async (sampler: Sampler, variance?: number): Promise<number[]> => {
      // The first half of the output predicts, the second says where the variance is between its bounds.
      const denoiser = learnedVarianceDenoiser(
        (at, time) => tf.concat([exact(at, time.dataSync()[0]!), tf.fill(at.shape, variance ?? 0)], -1),
        vpParameterisation({ prediction: 'x0' }),
      )
      const end = await sampler(variance === undefined ? exact : denoiser, x, grid, { key: key(7) })
      const values = Array.from(await end.data())
      end.dispose()
      return values
    }
    const learned = ddpm({ variance: 'learned' })
    const before = tf.memory().numTensors
    for (const [variance, same] of [
      [-1, 'small'],
      [1, 'large'],
    ] as const) {
      const expected = await endOf(ddpm({ variance: same }))
      ;(await endOf(learned, variance)).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4))
    }
    const between = await endOf(learned, 0)
    expect(between).not.toEqual(await endOf(learned, 1))
    await expect(endOf(learned)).rejects.toThrow(/^denoiser: expected one with a learned variance/)
    const misshapen = Object.assign(mixtureDenoiser(), {
      withVariance: (at: tf.Tensor, level: number) => ({ denoised: exact(at, level), fraction: tf.zeros([1]) }),
    })
    await expect(learned(misshapen, x, grid, { key: key(7) })).rejects.toThrow(
      /^denoiser: expected .* \[5, 2\], got \[1\]/,
    )
    expect(tf.memory().numTensors).toBe(before)
    x.dispose()
  })
})
