import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { mixtureDenoiser } from '../golden/mixture.ts'
import type { Sampler } from '../sampler.ts'
import { ddim } from './ddim/ddim.ts'
import { deis } from './deis/deis.ts'
import { dpmSolverMultistep } from './dpm-solver-multistep/dpm-solver-multistep.ts'
import { dpmSolverSinglestep } from './dpm-solver-singlestep/dpm-solver-singlestep.ts'
import { dpm2 } from './dpm2/dpm2.ts'
import { amed } from './amed/amed.ts'
import { euler } from './euler/euler.ts'
import { heun } from './heun/heun.ts'
import { ipndm } from './ipndm/ipndm.ts'
import { lms } from './lms/lms.ts'
import { rectifiedFlow } from './rectified-flow/rectified-flow.ts'
import { unipc } from './unipc/unipc.ts'

/** Grids of two to six steps; either end may be infinite. */
const grids = fc
  .tuple(
    fc.array(fc.double({ min: 0.2, max: 3, noNaN: true }), { minLength: 2, maxLength: 6 }),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([widths, fromNoise, toClean]) => {
    const levels = [-5]
    for (const width of widths) levels.push(levels.at(-1)! + width)
    if (fromNoise) levels[0] = -Infinity
    if (toClean) levels[levels.length - 1] = Infinity
    return levels
  })

async function expectSame(samplers: Sampler[], grid: number[], tolerance: number): Promise<void> {
  const x = key(4).normal([8, 2])
  const ends: number[][] = []
  for (const sampler of samplers) {
    const end = await sampler(mixtureDenoiser(), x, grid)
    ends.push(Array.from(await end.data()))
    end.dispose()
  }
  x.dispose()
  for (const end of ends)
    end.forEach((value, i) => expect(Math.abs(value - ends[0]![i]!)).toBeLessThan(tolerance * (1 + Math.abs(value))))
}

describe('samplers that are one', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it('of order 1 are all DDIM', () =>
    fc.assert(
      fc.asyncProperty(grids, (grid) =>
        expectSame(
          [
            ddim(),
            euler(),
            rectifiedFlow(),
            deis({ order: 1 }),
            lms({ order: 1 }),
            ipndm({ order: 1 }),
            dpmSolverMultistep({ order: 1 }),
            dpmSolverMultistep({ order: 1, predicted: 'noise' }),
            dpmSolverSinglestep({ order: 1 }),
            dpmSolverSinglestep({ order: 1, points: 'grid' }),
            unipc({ order: 1, corrector: false }),
          ],
          grid,
          2e-4,
        ),
      ),
      { numRuns: 25 },
    ))

  it('AMED halfway is DPM-2', () =>
    fc.assert(
      fc.asyncProperty(grids, (grid) => expectSame([dpm2(), amed()], grid, 2e-4)),
      { numRuns: 15 },
    ))

  it('Heun is not Heun along the flow', async () => {
    const grid = [-4, -1, 1, 4]
    await expect(expectSame([heun(), rectifiedFlow({ order: 2 })], grid, 1e-3)).rejects.toThrow()
  })

  it('do not change a step that a flow makes exactly', async () => {
    // Where the clean sample is known, every sampler of the flow goes straight to it, along any grid.
    const x = key(5).normal([4, 3])
    for (const sampler of [euler(), heun(), dpm2(), lms(), deis(), unipc(), dpmSolverMultistep({ order: 3 })]) {
      const end = await sampler((at) => tf.fill(at.shape, 0.25), x, [-3, -2, 0, 1, Infinity])
      for (const value of await end.data()) expect(value).toBeCloseTo(0.25, 4)
      end.dispose()
    }
    x.dispose()
  })
})
