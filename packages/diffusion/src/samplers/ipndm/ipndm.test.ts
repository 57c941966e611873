import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import * as tf from '@tensorflow/tfjs-core'
import { schedulerModel, schedulerSample } from '../../golden/golden.ts'
import { expectEnd, schedulerRuns } from '../../golden/scheduler-runs.ts'
import { alphaOf, logSnrOfEdmSigma } from '../../noise-level.ts'
import { type Sampling, tidied } from '../stepwise.ts'
import { ipndm, ipndmStep } from './ipndm.ts'

describe.each(['cpu', 'wasm'] as const)('ipndm on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(ipndm, { calls: 4, badOptions: { order: [0, 5] } }))('$name', ({ run }) => run())

  it('agrees with diffusers, which keeps the memory of one run for a second', async () => {
    const [record] = schedulerRuns('IPNDMScheduler', backend)
    const times = record!.timesteps!
    const sigmaAt = (time: number): number => Math.sin((Math.PI / 2) * time)
    const levels = times.map((time) => logSnrOfEdmSigma(Math.tan((Math.PI / 2) * time)))
    let x: tf.Tensor = schedulerSample()
    let memory: readonly tf.Tensor[] = []
    for (let run = 0; run < 2; run++) {
      // The first level is noise alone, where x tells nothing of the clean sample: alpha is taken to be 0, later 1e-8.
      const grid = [run === 0 ? -Infinity : 2 * Math.log(1e-8), ...levels.slice(1), Infinity]
      times.forEach((time, step) => {
        const denoise: Sampling['denoise'] = (at, level) => {
          if (step === 0) return tf.mul(at, run === 0 ? 0 : alphaOf(level))
          return tf.sub(tf.mul(at, alphaOf(level)), tf.mul(schedulerModel(at, time), sigmaAt(time)))
        }
        const advance = ipndmStep(denoise, 4)
        const before = [x, ...memory]
        const interval = { step, steps: times.length, from: grid[step]!, to: grid[step + 1]! }
        const arrival = tidied(() => advance(x, interval, memory))
        x = arrival.x
        memory = arrival.memory!
        const kept = new Set([x, ...memory])
        tf.dispose([arrival.denoised, ...before].filter((tensor) => !kept.has(tensor)))
      })
    }
    expectEnd(record!, Array.from(await x.data()))
    tf.dispose([x, ...memory])
  })
})
