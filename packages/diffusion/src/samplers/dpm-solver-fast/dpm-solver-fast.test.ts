import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { samplerChecks } from '../sampler-checks.ts'
import * as tf from '@tensorflow/tfjs-core'
import { mixtureGrid, sampleMixture } from '../../golden/mixture-runs.ts'
import type { Sampler } from '../../sampler.ts'
import { dpmSolverSinglestep } from '../dpm-solver-singlestep/dpm-solver-singlestep.ts'
import { dpmSolverFast } from './dpm-solver-fast.ts'

describe.each(['cpu', 'wasm'] as const)('dpm-solver-fast on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(samplerChecks(dpmSolverFast, { calls: 9, badOptions: { evaluations: [0, 1.5], predicted: ['v'] } }))(
    '$name',
    ({ run }) => run(),
  )
  it.each(samplerChecks(dpmSolverFast, { options: { predicted: 'denoised' }, calls: 9 }))('$name', ({ run }) => run())

  it('makes steps of the orders that use up its calls', async () => {
    const grid = mixtureGrid('log', 3)
    for (const [evaluations, orders] of [
      [6, [3, 2, 1]],
      [7, [3, 3, 1]],
      [8, [3, 3, 2]],
    ] as const) {
      const parts = orders.map((order) => dpmSolverSinglestep({ order, predicted: 'noise' }))
      const inParts: Sampler = async (denoiser, x, levels, options) => {
        let at = tf.clone(x)
        for (const [i, part] of parts.entries()) {
          const next = await part(denoiser, at, levels.slice(i, i + 2), options)
          at.dispose()
          at = next
        }
        return at
      }
      const [whole, expected] = [
        await sampleMixture(dpmSolverFast({ evaluations }), grid),
        await sampleMixture(inParts, grid),
      ]
      expect(whole).toEqual(expected)
    }
  })

  it('refuses calls that do not fit the grid', async () => {
    const grid = mixtureGrid('log', 3)
    await expect(sampleMixture(dpmSolverFast({ evaluations: 5 }), grid)).rejects.toThrow(
      'evaluations: expected 6 to 8 for a grid of 3 steps, got 5',
    )
    await expect(sampleMixture(dpmSolverFast({ evaluations: 9 }), grid)).rejects.toThrow(/^evaluations/)
  })
})
