import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import * as tf from '@tensorflow/tfjs-core'
import { goldenRecord, numbersOf } from '../../golden/golden.ts'
import { mixtureGrid, sampleMixture } from '../../golden/mixture-runs.ts'
import type { Sampler } from '../../sampler.ts'
import { dpmSolverAdaptive } from './dpm-solver-adaptive.ts'

describe.each(['cpu', 'wasm'] as const)('dpm-solver-adaptive on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(dpmSolverAdaptive, {
      fromNoise: false,
      badOptions: {
        order: [1, 4],
        relativeTolerance: [-1],
        absoluteTolerance: [0],
        firstStep: [0],
        proportional: ['much'],
        integral: ['much'],
        derivative: ['much'],
        acceptance: [0, 1],
        predicted: ['v'],
      },
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(dpmSolverAdaptive, { options: { order: 2, predicted: 'denoised' }, fromNoise: false }))(
    '$name',
    ({ run }) => run(),
  )

  it('comes the nearer to the exact end the less it tolerates, at the cost of calls', async () => {
    const exact = numbersOf(goldenRecord('gmm-exact-0.02').expected['end'])
    const grid = mixtureGrid('log', 1)
    const tried: { error: number; calls: number }[] = []
    for (const tolerance of [0.1, 0.005]) {
      let calls = 0
      const counting: Sampler = (denoiser, ...rest) =>
        dpmSolverAdaptive({ relativeTolerance: tolerance, absoluteTolerance: tolerance / 10 })(
          (x, level, condition) => {
            calls++
            return denoiser(x, level, condition)
          },
          ...rest,
        )
      const ends = await sampleMixture(counting, grid)
      const squares = ends.reduce((sum, value, i) => sum + (value - exact[i]!) ** 2, 0)
      tried.push({ error: Math.sqrt(squares / ends.length), calls })
    }
    expect(tried[1]!.error).toBeLessThan(tried[0]!.error)
    expect(tried[1]!.calls).toBeGreaterThan(tried[0]!.calls)
    expect(tried[1]!.error).toBeLessThan(5e-3)
  })

  it('says what it cannot go on with', async () => {
    const grid = mixtureGrid('log', 1)
    const broken: Sampler = (_, x, levels) => dpmSolverAdaptive()((at) => tf.mul(at, NaN), x, levels)
    await expect(sampleMixture(broken, grid)).rejects.toThrow(/^denoiser: expected finite predictions/)
  })
})
