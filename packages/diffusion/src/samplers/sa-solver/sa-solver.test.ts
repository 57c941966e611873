import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { mixtureDenoiser } from '../../golden/mixture.ts'
import { samplerChecks } from '../sampler-checks.ts'
import { saSolver } from './sa-solver.ts'

describe.each(['cpu', 'wasm'] as const)('sa-solver on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(
    samplerChecks(saSolver, {
      calls: 4,
      draws: true,
      badOptions: {
        predictorOrder: [0, 5],
        correctorOrder: [-1, 5],
        tau: [-1, 'much'],
        lowerOrderFinal: [1],
        noise: ['pink'],
      },
    }),
  )('$name', ({ run }) => run())
  it.each(
    samplerChecks(saSolver, {
      options: {
        predictorOrder: 3,
        correctorOrder: 4,
        // As random as may be in the middle alone.
        tau: (level) => (Math.abs(level) < 1 ? 1 : 0),
        lowerOrderFinal: false,
        noise: 'brownian',
      },
      calls: 4,
      draws: true,
    }),
  )('$name', ({ run }) => run())
  it.each(samplerChecks(saSolver, { options: { tau: 0, correctorOrder: 1 }, calls: 4 }))('$name', ({ run }) => run())

  it('refuses what tau makes of a level', async () => {
    const x = key(0).normal([2, 2])
    const run = saSolver({ tau: () => NaN })(mixtureDenoiser(), x, [-1, 1], { key: key(1) })
    await expect(run).rejects.toThrow(/^tau: expected numbers >= 0, got NaN at logSNR -1/)
    x.dispose()
  })
})
