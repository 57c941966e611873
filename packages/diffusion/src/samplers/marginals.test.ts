import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Denoiser } from '../denoiser.ts'
import { mixture, mixtureDenoiser } from '../golden/mixture.ts'
import { mixtureGrid } from '../golden/mixture-runs.ts'
import { alphaOf, sigmaOf } from '../noise-level.ts'
import type { Sampler } from '../sampler.ts'
import { ddim } from './ddim/ddim.ts'
import { ddpm } from './ddpm/ddpm.ts'
import { dpm2Ancestral } from './dpm2-ancestral/dpm2-ancestral.ts'
import { dpmSolverAncestral } from './dpm-solver-ancestral/dpm-solver-ancestral.ts'
import { eulerAncestral } from './euler-ancestral/euler-ancestral.ts'
import { heun } from './heun/heun.ts'
import { predictorCorrector } from './predictor-corrector/predictor-corrector.ts'
import { rectifiedFlow } from './rectified-flow/rectified-flow.ts'
import { repaint } from './repaint/repaint.ts'
import { saSolver } from './sa-solver/sa-solver.ts'
import { sdeDpmSolverMultistep } from './sde-dpm-solver-multistep/sde-dpm-solver-multistep.ts'
import { sdeDpmSolverSinglestep } from './sde-dpm-solver-singlestep/sde-dpm-solver-singlestep.ts'

const size = 2000

interface Moments {
  readonly mean: readonly number[]
  /** xx, xy, yy */
  readonly covariance: readonly number[]
}

/** Of the mixture, exactly. */
function momentsOfMixture(): Moments {
  const { means, variances, weights } = mixture
  const over = (value: (k: number) => number): number => weights.reduce((sum, weight, k) => sum + weight * value(k), 0)
  const mean = [0, 1].map((i) => over((k) => means[k]![i]!))
  const covariance = [
    [0, 0],
    [0, 1],
    [1, 1],
  ].map(([i, j]) => {
    const product = over((k) => means[k]![i!]! * means[k]![j!]! + (i === j ? variances[k]! : 0))
    return product - mean[i!]! * mean[j!]!
  })
  return { mean, covariance }
}

/** Of points, flat. */
function momentsOf(values: ArrayLike<number>): Moments {
  const points = Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i]!, values[2 * i + 1]!])
  const over = (value: (point: number[]) => number): number =>
    points.reduce((sum, point) => sum + value(point), 0) / points.length
  const mean = [over(([x]) => x!), over(([, y]) => y!)]
  const off = (i: number, j: number): number => over((point) => (point[i]! - mean[i]!) * (point[j]! - mean[j]!))
  return { mean, covariance: [off(0, 0), off(0, 1), off(1, 1)] }
}

/** How far points are from the nearest component, squared, in units of its variance; near 2, but for where components meet. */
function spreadOf(values: ArrayLike<number>): number {
  let sum = 0
  for (let n = 0; n < values.length; n += 2)
    sum += Math.min(
      ...mixture.means.map(
        ([x, y], k) => ((values[n]! - x!) ** 2 + (values[n + 1]! - y!) ** 2) / mixture.variances[k]!,
      ),
    )
  return (2 * sum) / values.length
}

/** Points of the mixture, with noise up to a level: `[1, size, 2]`, for the samplers one sample of many numbers. */
async function noisyPoints(level: number): Promise<tf.Tensor> {
  const [choices, spread, noise] = key(11)
    .split(3)
    .map((part, i) => (i === 0 ? part.uniform([size]) : part.normal([size, 2])))
  const [u, within, added] = [await choices!.data(), await spread!.data(), await noise!.data()]
  tf.dispose([choices!, spread!, noise!])
  const points = Array.from({ length: size }, (_, n) => {
    let k = 0
    for (let left = u[n]! - mixture.weights[0]!; left > 0 && k < mixture.weights.length - 1;)
      left -= mixture.weights[++k]!
    return [0, 1].map((i) => {
      const point = mixture.means[k]![i]! + Math.sqrt(mixture.variances[k]!) * within[2 * n + i]!
      return alphaOf(level) * point + sigmaOf(level) * added[2 * n + i]!
    })
  })
  return tf.tensor([points])
}

describe('samplers that draw end with the moments of the mixture', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  // Steps of order 1 add somewhat too little noise, and those with a large variance too much.
  it.each<[string, Sampler, number?]>([
    ['DDPM', ddpm()],
    ['DDPM, large', ddpm({ variance: 'large' }), 0.7],
    ['DDIM, half', ddim({ eta: 0.5 })],
    ['Euler ancestral, half', eulerAncestral({ eta: 0.5 })],
    ['Heun with churn', heun({ churn: 12 })],
    ['DPM-2 ancestral', dpm2Ancestral()],
    ['DPM-Solver++ 2S ancestral', dpmSolverAncestral()],
    ['SDE-DPM-Solver++ 2M', sdeDpmSolverMultistep()],
    ['SDE-DPM-Solver++ 3M', sdeDpmSolverMultistep({ order: 3 })],
    ['SDE-DPM-Solver++ 2M, more noise', sdeDpmSolverMultistep({ eta: 1.5, solver: 'heun' }), 0.45],
    ['SDE-DPM-Solver++ 2S', sdeDpmSolverSinglestep()],
    ['SA-Solver', saSolver()],
    ['SA-Solver of high order', saSolver({ predictorOrder: 3, correctorOrder: 4, tau: 0.7 })],
    ['rectified flow', rectifiedFlow({ eta: 0.5 })],
    ['predictor-corrector', predictorCorrector(), 0.45],
  ])('%s', (_, sampler, off) => expectMoments(sampler, off))

  it('RePaint where nothing is known', async () => {
    const nothing = tf.zeros([1, 1, 1])
    await expectMoments(repaint({ known: nothing, mask: nothing, jumpLength: 6, repeats: 2 }), 0.6)
    nothing.dispose()
  })
})

/**
 * Runs a sampler from noisy points of the mixture and compares the moments at the end.
 * @param off what the spread within components may be off by, of about 2
 */
async function expectMoments(sampler: Sampler, off = 0.3): Promise<void> {
  const grid = mixtureGrid('karras', 28)
  const x = await noisyPoints(grid[0]!)
  const exactly = mixtureDenoiser()
  const denoiser: Denoiser = (at, level) =>
    tf.tidy(() => tf.reshape(exactly(tf.reshape(at, [size, 2]), level), at.shape))
  const end = await sampler(denoiser, x, grid, { key: key(21) })
  const points = (await end.data()).map((value) => value / alphaOf(grid.at(-1)!))
  tf.dispose([x, end])
  const got = momentsOf(points)
  const truth = await noisyPoints(grid.at(-1)!)
  const spread = spreadOf((await truth.data()).map((value) => value / alphaOf(grid.at(-1)!)))
  truth.dispose()
  expect(Math.abs(spreadOf(points) - spread), `spread ${spreadOf(points)}, expected ${spread}`).toBeLessThan(off)
  const exact = momentsOfMixture()
  // Four standard errors of the mean and of a covariance, and a tenth for what the steps are off.
  const [xx, , yy] = exact.covariance as [number, number, number]
  const deviation = Math.sqrt(Math.max(xx, yy))
  got.mean.forEach((value, i) =>
    expect(Math.abs(value - exact.mean[i]!), `mean ${got.mean}, expected ${exact.mean}`).toBeLessThan(
      (4 * deviation) / Math.sqrt(size) + 0.1 * deviation,
    ),
  )
  got.covariance.forEach((value, i) =>
    expect(
      Math.abs(value - exact.covariance[i]!),
      `covariance ${got.covariance}, expected ${exact.covariance}`,
    ).toBeLessThan(4 * deviation ** 2 * Math.sqrt(2 / size) + 0.1 * deviation ** 2),
  )
}
