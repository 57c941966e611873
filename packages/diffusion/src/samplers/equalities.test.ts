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
import { consistency } from './consistency/consistency.ts'
import { ddpm } from './ddpm/ddpm.ts'
import { dpm2Ancestral } from './dpm2-ancestral/dpm2-ancestral.ts'
import { dpmSolverAncestral } from './dpm-solver-ancestral/dpm-solver-ancestral.ts'
import { eulerAncestral } from './euler-ancestral/euler-ancestral.ts'
import { lcm } from './lcm/lcm.ts'
import { repaint } from './repaint/repaint.ts'
import { saSolver } from './sa-solver/sa-solver.ts'
import { sdeDpmSolverMultistep } from './sde-dpm-solver-multistep/sde-dpm-solver-multistep.ts'
import { sdeDpmSolverSinglestep } from './sde-dpm-solver-singlestep/sde-dpm-solver-singlestep.ts'
import { tcd } from './tcd/tcd.ts'
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
  const options = { key: key(6) }
  const x = key(4).normal([8, 2])
  const ends: number[][] = []
  for (const sampler of samplers) {
    const end = await sampler(mixtureDenoiser(), x, grid, options)
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

  it('that add as much noise as DDPM, by order 1, are all DDPM', async () => {
    const mask = tf.zeros([1, 1])
    await fc.assert(
      fc.asyncProperty(grids, (grid) =>
        expectSame(
          [
            ddpm(),
            ddim({ eta: 1 }),
            eulerAncestral(),
            sdeDpmSolverMultistep({ order: 1 }),
            saSolver({ predictorOrder: 1, correctorOrder: 0 }),
            repaint({ known: mask, mask, repeats: 1 }),
          ],
          grid,
          2e-4,
        ),
      ),
      { numRuns: 20 },
    )
    mask.dispose()
  })

  it('without noise are what they come from', () =>
    fc.assert(
      fc.asyncProperty(grids, async (grid) => {
        await expectSame([euler(), eulerAncestral({ eta: 0 }), tcd({ gamma: 0 })], grid, 2e-4)
        await expectSame([dpm2(), dpm2Ancestral({ eta: 0 })], grid, 2e-4)
        await expectSame(
          [dpmSolverSinglestep(), dpmSolverAncestral({ eta: 0 }), sdeDpmSolverSinglestep({ eta: 0 })],
          grid,
          2e-4,
        )
        for (const order of [1, 2, 3])
          await expectSame([dpmSolverMultistep({ order }), sdeDpmSolverMultistep({ order, eta: 0 })], grid, 2e-4)
        const order = { order: 2, solver: 'heun', lowerOrderFinal: true } as const
        await expectSame([dpmSolverMultistep(order), saSolver({ tau: 0, correctorOrder: 0 })], grid, 2e-4)
      }),
      { numRuns: 8 },
    ))

  it('SA-Solver without its corrector is SDE-DPM-Solver++ of order 2', () =>
    fc.assert(
      fc.asyncProperty(grids, fc.double({ min: 0.2, max: 1.4, noNaN: true }), (grid, tau) =>
        expectSame(
          [
            sdeDpmSolverMultistep({ order: 2, eta: tau ** 2, solver: 'heun', lowerOrderFinal: true }),
            saSolver({ tau, correctorOrder: 0 }),
          ],
          grid,
          2e-4,
        ),
      ),
      { numRuns: 15 },
    ))

  it('LCM is TCD that goes to clean, and a consistency model without a lowest level', () =>
    fc.assert(
      fc.asyncProperty(grids, (grid) =>
        expectSame([lcm(), tcd({ gamma: 1 }), consistency({ sigmaMin: 0 })], grid, 2e-4),
      ),
      { numRuns: 15 },
    ))

  it('noise makes a difference', async () => {
    const grid = [-4, -1, 1, 4]
    for (const [one, other] of [
      [ddpm(), ddim()],
      [ddpm(), ddpm({ variance: 'large' })],
      [ddpm(), ddpm({ noise: 'brownian' })],
      [rectifiedFlow(), rectifiedFlow({ eta: 1 })],
      [sdeDpmSolverMultistep(), sdeDpmSolverMultistep({ eta: 0.5 })],
      [saSolver(), saSolver({ correctorOrder: 0 })],
    ] as const)
      await expect(expectSame([one, other], grid, 1e-3)).rejects.toThrow()
  })

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
