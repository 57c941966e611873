import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { countLeaks, expectGolden } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Denoiser } from '../denoiser.ts'
import { gaussianMixture } from '../distributions/gaussian-mixture.ts'
import { recordedMixture } from '../golden/distributions.ts'
import { bitsPerDimension, logLikelihood, type LogLikelihoodOptions } from './log-likelihood.ts'
import { dormandPrince, heun, rk4, step, type Tableau } from './runge-kutta.ts'

/** n + 1 levels, evenly. */
function levels(from: number, to: number, n: number): number[] {
  return Array.from({ length: n + 1 }, (_, i) => from + ((to - from) * i) / n)
}

async function greatest(a: tf.Tensor, b: tf.Tensor): Promise<number> {
  const off = tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))))
  const [value] = await off.data()
  off.dispose()
  return value!
}

describe.each(['cpu', 'wasm'] as const)('the likelihood of the flow on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each([
    ['rk4', 48],
    ['heun', 120],
    ['adaptive', 8],
  ] as const)('is the density of a mixture in closed form, by %s', async (method, n) => {
    const exact = recordedMixture()
    const x = exact.sample(6, key(1))
    const grid = levels(-4, 7, n)
    const prior = (y: tf.Tensor): tf.Tensor => exact.logDensity(y, -4)
    const {
      logLikelihood: got,
      noise,
      evaluations,
    } = await logLikelihood(exact.denoise, x, grid, {
      method,
      prior,
      tolerance: 1e-5,
    })
    const wanted = exact.logDensity(x, 7)
    expect(await greatest(got, wanted)).toBeLessThan(2e-3)
    expect(noise.shape).toEqual([6, 2])
    if (method !== 'adaptive') expect(evaluations).toBe(2 * n * (method === 'rk4' ? 4 : 2))
    tf.dispose([x, got, noise, wanted])
    exact.dispose()
  })

  it('takes a condition, and the density at a noisy end that is not all noise', async () => {
    const exact = recordedMixture()
    const x = exact.sample(4, key(2))
    const labels = tf.tensor1d([0, 1, 0, 1], 'int32')
    const { logLikelihood: got, noise } = await logLikelihood(exact.denoise, x, levels(-1, 5, 24), {
      condition: labels,
      prior: (y) => exact.logDensity(y, -1, labels),
    })
    const wanted = exact.logDensity(x, 5, labels)
    expect(await greatest(got, wanted)).toBeLessThan(2e-3)
    tf.dispose([x, labels, got, noise, wanted])
    exact.dispose()
  })

  it('estimates the trace without bias, the same for a sample in any batch', async () => {
    const d = 6
    const means = [0, 1].map((k) => Array.from({ length: d }, (_, i) => Math.sin(i + 2 * k)))
    const exact = gaussianMixture({ means, covariances: [0.2, 0.5] })
    const x = exact.sample(3, key(3))
    const grid = levels(-4, 4, 6)
    const of = async (y: tf.Tensor, options: LogLikelihoodOptions<tf.Tensor>): Promise<number[]> => {
      const { logLikelihood: got, noise } = await logLikelihood(exact.denoise, y, grid, options)
      const values = Array.from(await got.data())
      tf.dispose([got, noise])
      return values
    }
    const wanted = await of(x, {})
    for (const [kind, tolerance] of [
      ['rademacher', 0.3],
      ['normal', 2],
    ] as const) {
      const estimated = await of(x, { trace: { key: key(4), count: 16, kind } })
      estimated.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(tolerance))
      expect(estimated).not.toEqual(wanted)
    }
    const trace = { key: key(5) }
    const first = tf.slice(x, 0, 1)
    const [alone, together, again] = [await of(first, { trace }), await of(x, { trace }), await of(x, { trace })]
    expect(alone[0]).toBeCloseTo(together[0]!, 4)
    expect(again).toEqual(together)
    tf.dispose([x, first])
    exact.dispose()
  })

  it('is exact for one Gaussian whatever the probe, from noise alone, for its Jacobian is a multiple of the identity', async () => {
    const exact = gaussianMixture({ means: [[0.5, -1, 2]], covariances: 0.3 })
    const x = exact.sample(5, key(6))
    const options = { trace: { key: key(7) } }
    const { logLikelihood: got, noise } = await logLikelihood(exact.denoise, x, levels(-20, 6, 40), options)
    const wanted = exact.logDensity(x, 6)
    expect(await greatest(got, wanted)).toBeLessThan(2e-3)
    tf.dispose([x, got, noise, wanted])
    exact.dispose()
  })

  it('counts bits', async () => {
    const nats = tf.tensor1d([0, -2 * Math.LN2])
    const bits = bitsPerDimension(nats, 2)
    const bytes = bitsPerDimension(nats, 2, 1 / 256)
    await expectGolden('bits', bits, { shape: [2], values: [0, 1] }, { abs: 1e-6, rel: 0 })
    await expectGolden('bytes', bytes, { shape: [2], values: [8, 9] }, { abs: 1e-6, rel: 0 })
    tf.dispose([nats, bits, bytes])
  })

  it('tells of its steps and stops when asked, leaving nothing behind', async () => {
    const exact = recordedMixture()
    const x = exact.sample(2, key(8))
    const grid = levels(-4, 4, 4)
    for (const method of ['rk4', 'adaptive'] as const) {
      const seen: number[] = []
      const onStep = ({ from, to }: { from: number; to: number }): void => void seen.push(from, to)
      const { logLikelihood: got, noise } = await logLikelihood(exact.denoise, x, grid, { method, onStep })
      expect(seen[0]).toBe(4)
      expect(seen.at(-1)).toBe(-4)
      seen.slice(1, -1).forEach((level, i) => i % 2 === 0 && expect(level).toBe(seen[i + 2]))
      tf.dispose([got, noise])
      const call = async (): Promise<unknown> => {
        const { logLikelihood: value, noise: end } = await logLikelihood(exact.denoise, x, grid, {
          method,
          trace: { key: key(9), count: 2 },
        })
        return [value, end]
      }
      expect(await countLeaks(call)).toBe(0)
      expect(
        await countLeaks(async () => {
          const stop = new AbortController()
          const options = { method, signal: stop.signal, onStep: () => stop.abort(new Error('enough')) }
          await expect(logLikelihood(exact.denoise, x, grid, options)).rejects.toThrow('enough')
        }),
      ).toBe(0)
    }
    x.dispose()
    exact.dispose()
  })

  it('refuses bad input by name', async () => {
    const denoiser: Denoiser = (y) => tf.mul(y, 0.5)
    const x = tf.zeros([2, 2])
    const flat = tf.zeros([2])
    const refused = (grid: number[], options: object, message: RegExp): Promise<void> =>
      expect(logLikelihood(denoiser, x, grid, options)).rejects.toThrow(message)
    await refused([0], {}, /^grid/)
    await refused([1, 0], {}, /^grid/)
    await refused([0, Infinity], {}, /^grid: expected finite/)
    await refused([-1, 1], { method: 'euler' }, /^method/)
    await refused([-1, 1], { tolerance: 0 }, /^tolerance/)
    await refused([-1, 1], { trace: {} }, /^trace.key/)
    await refused([-1, 1], { trace: { key: key(0), count: 0 } }, /^trace.count/)
    await refused([-1, 1], { trace: { key: key(0), kind: 'uniform' } }, /^trace.kind/)
    await expect(logLikelihood(denoiser, flat, [-1, 1])).rejects.toThrow(/^x/)
    await expect(logLikelihood(denoiser, {} as never, [-1, 1])).rejects.toThrow(/^x/)
    expect(() => bitsPerDimension(flat, 0)).toThrow(/^dimensions/)
    expect(() => bitsPerDimension(flat, 2, 0)).toThrow(/^binWidth/)
    tf.dispose([x, flat])
  })
})

describe.each([
  ['heun', heun],
  ['rk4', rk4],
  ['dormandPrince', dormandPrince],
] as const)('%s', (_, tableau: Tableau) => {
  const { nodes, stages, weights, error, order } = tableau
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, i) => sum + value * b[i]!, 0)

  it('has nodes that its stages add up to', () => {
    stages.forEach((row, i) => expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(nodes[i]!, 12))
  })

  it('has the order it says, on powers of time and on decay', () => {
    // b . c^k = 1 / (k + 1), and b . A^k 1 = 1 / (k + 1)!
    let [chain, factorial] = [nodes.map(() => 1), 1]
    for (let k = 0; k < order; k++) {
      factorial *= k + 1
      const powers = nodes.map((node) => node ** k)
      expect(dot(weights, powers)).toBeCloseTo(1 / (k + 1), 12)
      expect(dot(weights, chain)).toBeCloseTo(1 / factorial, 12)
      if (error && k < order - 1) expect(dot(error, powers)).toBeCloseTo(0, 12)
      chain = stages.map((row) => dot(row, chain))
    }
    if (error) expect(Math.abs(dot(error, nodes.map((node) => node ** 4)))).toBeGreaterThan(1e-4) // prettier-ignore
  })

  it('steps that way', async () => {
    // dx / dt = x cos t from 1: x = exp(sin t).
    const off = async (n: number): Promise<number> => {
      let x: tf.Tensor = tf.tensor1d([1])
      for (let i = 0; i < n; i++) {
        const { state, error } = step(tableau, ([y], t) => [tf.mul(y!, Math.cos(t))], [x], (2 * i) / n, 2 / n)
        tf.dispose([x, ...error])
        x = state[0]!
      }
      const [value] = await x.data()
      x.dispose()
      return Math.abs(value! - Math.exp(Math.sin(2)))
    }
    const [coarse, fine] = [await off(4), await off(16)]
    expect(fine).toBeLessThan(Math.max(1e-6, coarse * 4 ** (0.6 - order)))
  })
})
