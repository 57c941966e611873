import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Mixture, mixtureDenoiser, mixtureMean } from '../golden/mixture.ts'
import { alphaOf, edmSigmaOf, logSnrOfEdmSigma } from '../noise-level.ts'
import type { Sampler } from '../sampler.ts'
import { ddim } from './ddim/ddim.ts'
import { deis } from './deis/deis.ts'
import { dpmSolverMultistep } from './dpm-solver-multistep/dpm-solver-multistep.ts'
import { dpmSolverSinglestep } from './dpm-solver-singlestep/dpm-solver-singlestep.ts'
import { dpm2 } from './dpm2/dpm2.ts'
import { heun } from './heun/heun.ts'
import { rectifiedFlow } from './rectified-flow/rectified-flow.ts'
import { saSolver } from './sa-solver/sa-solver.ts'
import { unipc } from './unipc/unipc.ts'

const ring: Mixture = {
  means: Array.from({ length: 8 }, (_, k) => [2 * Math.cos((Math.PI / 4) * k), 2 * Math.sin((Math.PI / 4) * k)]),
  variances: Array.from({ length: 8 }, () => 0.09),
  weights: Array.from({ length: 8 }, () => 1 / 8),
}
const [first, last] = [logSnrOfEdmSigma(20), logSnrOfEdmSigma(0.02)]

// Between two Gaussians a point is torn either way, and a small error grows without end: these stay near one.
const starts = Array.from({ length: 16 }, (_, i) => {
  const angle = (Math.PI / 4) * i + 0.2 * Math.sin(1.7 * i)
  const radius = 20 + 8 * Math.cos(2.3 * i)
  return [radius * Math.cos(angle), radius * Math.sin(angle)]
})

/** The exact ends: Runge and Kutta's method in the logarithm of sigma, in double precision. */
function exactEnds(): number[] {
  const slope = (x: number[], level: number): number[] => {
    const denoised = mixtureMean(x, edmSigmaOf(level), ring)
    return x.map((value, i) => (denoised[i]! - value) / 2)
  }
  const moved = (x: number[], k: number[], h: number): number[] => x.map((value, i) => value + h * k[i]!)
  const n = 800
  const h = (last - first) / n
  return starts.flatMap((start) => {
    let x = start
    for (let i = 0; i < n; i++) {
      const level = first + i * h
      const a = slope(x, level)
      const b = slope(moved(x, a, h / 2), level + h / 2)
      const c = slope(moved(x, b, h / 2), level + h / 2)
      const d = slope(moved(x, c, h), level + h)
      x = x.map((value, j) => value + (h / 6) * (a[j]! + 2 * b[j]! + 2 * c[j]! + d[j]!))
    }
    return x
  })
}

describe('order on the ring of eight Gaussians, by errors at 16, 32 and 64 steps', () => {
  let exact: number[]
  beforeAll(async () => {
    await useBackend('cpu')
    exact = exactEnds()
  })

  async function errorAt(sampler: Sampler, n: number): Promise<number> {
    const grid = Array.from({ length: n + 1 }, (_, i) => first + ((last - first) * i) / n)
    const x = tf.tensor2d(starts.map((start) => start.map((value) => value * alphaOf(first))))
    const end = await sampler(mixtureDenoiser(ring), x, grid)
    const values = await end.data()
    tf.dispose([x, end])
    const squares = exact.reduce((sum, value, i) => sum + (values[i]! / alphaOf(last) - value) ** 2, 0)
    return Math.sqrt(squares / exact.length)
  }

  // More steps than 64 would measure float32, whose errors are near 1e-5.
  it.each<[string, Sampler, number, number]>([
    ['DDIM', ddim(), 1, 0.15],
    ['Heun', heun(), 2, 0.3],
    ['DPM-2', dpm2(), 2, 0.3],
    ['rectified flow, Heun', rectifiedFlow({ order: 2 }), 2, 0.3],
    ['DPM-Solver++ 2M', dpmSolverMultistep({ order: 2, lowerOrderFinal: false }), 2, 0.3],
    ['DPM-Solver++ 2S', dpmSolverSinglestep({ order: 2 }), 2, 0.3],
    ['DPM-Solver++ 3S', dpmSolverSinglestep({ order: 3 }), 3, 0.5],
    ['DEIS 2', deis({ order: 2, lowerOrderFinal: false }), 2, 0.3],
    ['SA-Solver 2', saSolver({ tau: 0, correctorOrder: 0, lowerOrderFinal: false }), 2, 0.3],
    [
      'SA-Solver 3, corrected',
      saSolver({ tau: 0, predictorOrder: 2, correctorOrder: 3, lowerOrderFinal: false }),
      3,
      0.5,
    ],
    ['UniPC 2', unipc({ order: 2, lowerOrderFinal: false }), 3, 0.5],
  ])('%s', async (_, sampler, order, tolerance) => {
    const errors = [await errorAt(sampler, 16), await errorAt(sampler, 32), await errorAt(sampler, 64)]
    const fitted = Math.log2(errors[0]! / errors[2]!) / 2
    expect(Math.abs(fitted - order), `errors ${errors.join(', ')}`).toBeLessThan(tolerance)
  })
})
