import * as tf from '@tensorflow/tfjs-core'
import { key, type Key, valueAndGradients, variable } from '@x/core-gpu'
import { checkGradients, countLeaks, expectGolden } from '@x/core-gpu/testing'
import { expect, it } from 'vitest'
import { goldenRecord, goldenRecords, numbersOf, sineTensor } from '../golden/golden.ts'
import { alphaOf, type LogSnr, sigmaOf } from '../noise-level.ts'
import { sampleNoise } from '../noise/sample-noise.ts'
import type { Network } from '../predictions/network.ts'
import {
  edmParameterisation,
  flowParameterisation,
  type Parameterisation,
  vpParameterisation,
} from '../predictions/parameterisation.ts'
import { clipSchedule } from '../schedules/clip-schedule.ts'
import { cosineSchedule } from '../schedules/cosine/cosine.ts'
import { flowSchedule } from '../schedules/flow/flow.ts'
import { linearLogSnrSchedule } from '../schedules/linear-log-snr/linear-log-snr.ts'
import { logNormalSchedule } from '../schedules/log-normal/log-normal.ts'
import { diffusionLoss } from './diffusion-loss.ts'
import { learnedVarianceLoss } from './learned-variance-loss.ts'
import { multiscaleSquares } from './multiscale-squares.ts'
import { edmWeight, minSnrWeight, sigmoidWeight, uniformWeight, weightOn } from './weights.ts'

const range = { logSnrMin: -6, logSnrMax: 6 }

/** Every sample's squared error, from a network's, in double precision. */
async function errorsOf(
  x0: tf.Tensor,
  network: Network,
  { inputScale, time, skip, out }: Parameterisation,
  levels: readonly LogSnr[],
  noiseKey: Key,
): Promise<number[]> {
  const noise = sampleNoise(noiseKey, x0.shape)
  const [clean, drawn] = await Promise.all([x0.data(), noise.data()])
  const size = x0.size / levels.length
  const x = Array.from(clean, (value, i) => {
    const level = levels[Math.floor(i / size)]!
    return alphaOf(level) * value + sigmaOf(level) * drawn[i]!
  })
  const levelAt = (i: number): LogSnr => levels[Math.floor(i / size)]!
  const output = tf.tidy(() =>
    network(
      tf.tensor(
        x.map((value, i) => inputScale(levelAt(i)) * value),
        x0.shape,
      ),
      tf.tensor1d(levels.map(time)),
    ),
  )
  const said = await output.data()
  tf.dispose([noise, output])
  return levels.map((level, b) => {
    let sum = 0
    for (let i = b * size; i < (b + 1) * size; i++)
      sum += (skip(level) * x[i]! + out(level) * said[i]! - clean[i]!) ** 2
    return sum / size
  })
}

export function lossCases(): void {
  it('weights the squared error of each sample as recorded', async () => {
    const { params, inputs, expected } = goldenRecord('sigmoid-loss-b-2')
    const [x0, x0hat] = [sineTensor(inputs!['x0']!), sineTensor(inputs!['x0hat']!)]
    const squares = tf.tidy(() => tf.mean(tf.squaredDifference(x0, x0hat), [1, 2, 3]))
    const errors = await squares.data()
    const levels = params['logSnr'] as number[]
    const weights = {
      mseX0: uniformWeight('x0'),
      mseEps: uniformWeight('eps'),
      mseV: uniformWeight('v'),
      sigmoid: sigmoidWeight(params['bias'] as number),
      minSnr5: minSnrWeight(5),
    }
    for (const [name, weight] of Object.entries(weights)) {
      const got = levels.map((level, i) => weightOn(weight, 'x0')(level) * errors[i]!)
      numbersOf(expected[name]).forEach((value, i) => expect(got[i]! / value).toBeCloseTo(1, 4))
    }
    tf.dispose([x0, x0hat, squares])
  })

  it.each(goldenRecords('loss/multiscale'))(
    'averages over blocks as recorded: $id',
    async ({ params, inputs, expected }) => {
      const error = tf.tidy(() => tf.sub(sineTensor(inputs!['eps']!), sineTensor(inputs!['epsHat']!)))
      const scales = params['scales'] as number[]
      const meanOf = async (f: () => tf.Tensor): Promise<number> => {
        const mean = tf.tidy(() => tf.mean(f()))
        const [value] = await mean.data()
        mean.dispose()
        return value!
      }
      const near = (got: number, value: unknown): void => expect(got / (value as number)).toBeCloseTo(1, 4)
      for (const [i, scale] of scales.entries())
        near(
          await meanOf(() => multiscaleSquares(error, { scales: [scale], combine: 'average' })),
          (expected['perScale'] as number[])[i],
        )
      near(await meanOf(() => multiscaleSquares(error, { scales })), expected['totalPaper'])
      near(await meanOf(() => multiscaleSquares(error, { scales, combine: 'average' })), expected['totalAverage'])
      expect(await countLeaks(() => multiscaleSquares(error, { scales }))).toBe(0)
      error.dispose()
    },
  )

  it('differentiates the error over blocks', async () => {
    const error = key(1).normal([2, 4, 4, 2])
    await checkGradients(({ error }) => multiscaleSquares(error, { scales: [1, 2, 4] }), { error })
    error.dispose()
  })

  const conventions: [string, Parameterisation][] = [
    ['eps', vpParameterisation({ prediction: 'eps' })],
    ['x0', vpParameterisation({ prediction: 'x0' })],
    ['v', vpParameterisation({ prediction: 'v' })],
    ['flow', flowParameterisation()],
    ['flow towards data', flowParameterisation({ towards: 'data' })],
    ['EDM', edmParameterisation()],
  ]

  it.each(conventions)(
    'is the weighted error of the clean sample, whatever is predicted: %s',
    async (_, parameterisation) => {
      const x0 = key(2).normal([5, 2, 2, 3])
      const network: Network = (x, time) =>
        tf.tidy(() => tf.add(tf.mul(0.3, x), tf.sin(tf.reshape(time, [-1, 1, 1, 1]))))
      const options = { parameterisation, schedule: cosineSchedule(range), weight: sigmoidWeight(-1), key: key(3) }
      const { loss, losses, logSnr } = diffusionLoss(x0, network, options)
      const [, noiseKey] = key(3).split(2)
      const errors = await errorsOf(x0, network, parameterisation, logSnr, noiseKey!)
      const expected = errors.map((error, i) => error * weightOn(sigmoidWeight(-1), 'x0')(logSnr[i]!))
      await expectGolden('losses', losses, { shape: [5], values: expected }, { abs: 1e-6, rel: 2e-4 })
      const mean = expected.reduce((a, b) => a + b, 0) / 5
      await expectGolden('loss', loss, { shape: [], values: [mean] }, { abs: 1e-6, rel: 2e-4 })
      tf.dispose([x0, loss, losses])
    },
  )

  it("is the network's own error under EDM's weight", async () => {
    const x0 = key(4).normal([6, 3])
    const parameterisation = edmParameterisation()
    const [, noiseKey] = key(5).split(2)
    const options = { parameterisation, schedule: logNormalSchedule(), weight: edmWeight(), key: key(5) }
    const { losses, loss, logSnr } = diffusionLoss(x0, (x) => tf.zerosLike(x), options)
    const errors = await errorsOf(x0, (x) => tf.zerosLike(x), parameterisation, logSnr, noiseKey!)
    // Without a factor but 1 / c_out^2.
    const expected = errors.map((error, i) => error / parameterisation.out(logSnr[i]!) ** 2)
    await expectGolden('losses', losses, { shape: [6], values: expected }, { abs: 1e-5, rel: 1e-3 })
    tf.dispose([x0, losses, loss])
  })

  it('does not depend on the schedule when averaged over logSNR', async () => {
    // A network that says 0 of data that are 1: an error of 1 at every level.
    const x0 = tf.ones([1024, 1])
    const parameterisation = vpParameterisation({ prediction: 'x0' })
    const totals = await Promise.all(
      [linearLogSnrSchedule(range), cosineSchedule(range), clipSchedule(flowSchedule({ shift: 2 }), range)].map(
        async (schedule) => {
          const { loss, losses } = diffusionLoss(x0, (x) => tf.zerosLike(x), {
            parameterisation,
            schedule,
            weight: sigmoidWeight(-2),
            over: 'logSnr',
            times: 'lowDiscrepancy',
            key: key(6),
          })
          const [value] = await loss.data()
          tf.dispose([loss, losses])
          return value!
        },
      ),
    )
    // 1/2 of the integral of e^b sigmoid(logSnr - b) over the range, b = -2.
    const exact = 0.5 * Math.exp(-2) * (Math.log1p(Math.exp(8)) - Math.log1p(Math.exp(-4)))
    for (const total of totals) expect(total / exact).toBeCloseTo(1, 2)
    x0.dispose()
  })

  it('is lowest for the exact denoiser', async () => {
    const x0 = tf.tidy(() => tf.mul(0.5, key(7).normal([256, 2])))
    // Of one Gaussian with this deviation: alpha v / (alpha^2 v + sigma^2) x.
    const shrink =
      (by: number): Network =>
      (x, time) => {
        // The network is told logSNR.
        return tf.tidy(() => {
          const squares = tf.sigmoid(time)
          const alpha = tf.sqrt(squares)
          const spread = tf.add(tf.mul(0.25, squares), tf.sub(1, squares))
          return tf.mul(x, tf.expandDims(tf.mul(by, tf.div(tf.mul(0.25, alpha), spread)), 1))
        })
      }
    const losses = await Promise.all(
      [0.7, 1, 1.3].map(async (by) => {
        const { loss, losses: each } = diffusionLoss(x0, shrink(by), {
          parameterisation: vpParameterisation({ prediction: 'x0' }),
          schedule: cosineSchedule(range),
          weight: uniformWeight('x0'),
          key: key(8),
        })
        const [value] = await loss.data()
        tf.dispose([loss, each])
        return value!
      }),
    )
    expect(losses[1]).toBeLessThan(losses[0]!)
    expect(losses[1]).toBeLessThan(losses[2]!)
    x0.dispose()
  })

  it('is differentiable, over blocks too', async () => {
    const x0 = key(9).normal([3, 4, 4, 2])
    const w = variable(key(10).normal([2, 2]))
    const network: Network = (x) =>
      tf.tidy(() => tf.reshape(tf.matMul(tf.reshape(x, [-1, 2]) as tf.Tensor2D, w as unknown as tf.Tensor2D), x.shape))
    for (const multiscale of [undefined, { scales: [2, 4] }])
      await checkGradients(
        () =>
          diffusionLoss(x0, network, {
            parameterisation: vpParameterisation({ prediction: 'v' }),
            schedule: cosineSchedule(range),
            key: key(11),
            ...(multiscale && { multiscale }),
          }).loss,
        { w },
      )
    tf.dispose([x0, w])
  })

  it('hands the condition on, gives the same for the same key, and leaves nothing behind', async () => {
    const x0 = key(12).normal([3, 2])
    const seen: unknown[] = []
    const run = (seed: number): tf.Tensor => {
      const { loss, losses } = diffusionLoss<string>(
        x0,
        (x, _, condition) => {
          seen.push(condition)
          return tf.zerosLike(x)
        },
        {
          parameterisation: edmParameterisation(),
          schedule: logNormalSchedule(),
          condition: 'a dog',
          key: key(seed),
        },
      )
      losses.dispose()
      return loss
    }
    const [a, b, c] = [run(1), run(1), run(2)]
    expect([...(await a.data())]).toEqual([...(await b.data())])
    expect([...(await a.data())]).not.toEqual([...(await c.data())])
    expect(new Set(seen)).toEqual(new Set(['a dog']))
    expect(await countLeaks(() => run(1))).toBe(0)
    tf.dispose([x0, a, b, c])
  })

  it('adds what a learned variance costs, as densities have it', async () => {
    const x0 = key(14).normal([4, 3])
    const parameterisation = vpParameterisation({ prediction: 'v' })
    const grid = [-4, -1, 1, 3, Infinity]
    const said = 0.4
    const network: Network = (x) => tf.tidy(() => tf.concat([tf.mul(0.2, x), tf.fill(x.shape, said)], -1))
    const options = { parameterisation, grid, boundWeight: 0.01, key: key(15) }
    const { loss, losses, divergences, logSnr } = learnedVarianceLoss(x0, network, options)
    expect([...logSnr]).toEqual([-4, -1, 1, 3])
    const [, noiseKey] = key(15).split(2)
    const alone: Network = (x) => tf.mul(0.2, x)
    const errors = await errorsOf(x0, alone, parameterisation, logSnr, noiseKey!)
    const expected = errors.map((squares, i) => {
      const [from, to] = [grid[i]!, grid[i + 1]!]
      if (to === Infinity) return 0
      // DDPM's posterior, written with alpha and beta: arXiv 2006.11239, equations 6 and 7.
      const ratio = alphaOf(from) ** 2 / alphaOf(to) ** 2
      const smallest = (sigmaOf(to) ** 2 / sigmaOf(from) ** 2) * (1 - ratio)
      const ofX0 = (alphaOf(to) * (1 - ratio)) / sigmaOf(from) ** 2
      const variance = Math.exp(((1 + said) / 2) * Math.log(1 - ratio) + ((1 - said) / 2) * Math.log(smallest))
      return 0.5 * (Math.log(variance / smallest) + (smallest + ofX0 ** 2 * squares) / variance - 1)
    })
    await expectGolden('divergences', divergences, { shape: [4], values: expected }, { abs: 1e-5, rel: 1e-3 })
    const total = errors.map((error, i) => error * weightOn(uniformWeight(), 'x0')(logSnr[i]!) + 0.04 * expected[i]!)
    await expectGolden('losses', losses, { shape: [4], values: total }, { abs: 1e-5, rel: 1e-3 })
    const run = (): tf.Tensor[] => {
      const made = learnedVarianceLoss(x0, network, options)
      return [made.loss, made.losses, made.divergences]
    }
    expect(await countLeaks(run)).toBe(0)
    tf.dispose([x0, loss, losses, divergences])
  })

  it('trains the variance by the bound and the prediction by its error alone', async () => {
    const x0 = key(16).normal([5, 3])
    const [prediction, variance] = [variable(tf.tensor1d([0.1, 0.3, -0.2])), variable(tf.tensor1d([-0.3, 0.2, 0.5]))]
    const options = {
      parameterisation: vpParameterisation({ prediction: 'eps' }),
      grid: [-5, -2, 0, 2, 4],
      key: key(17),
    }
    const network: Network = (x) =>
      tf.tidy(() => tf.concat([tf.mul(x, prediction), tf.add(tf.zerosLike(x), variance)], -1))
    await checkGradients(() => learnedVarianceLoss(x0, network, { ...options, boundWeight: 10 }).loss, { variance })
    await checkGradients(() => learnedVarianceLoss(x0, network, { ...options, boundWeight: 0 }).loss, { prediction })
    const gradient = async (boundWeight: number): Promise<number[]> => {
      const f = (): tf.Scalar => learnedVarianceLoss(x0, network, { ...options, boundWeight }).loss
      const { loss, gradients } = valueAndGradients({ prediction }, () => ({ loss: f() }))
      const values = [...(await gradients['prediction']!.data())]
      tf.dispose([loss, gradients['prediction']!])
      return values
    }
    expect(await gradient(5)).toEqual(await gradient(0))
    tf.dispose([x0, prediction, variance])
  })
}
