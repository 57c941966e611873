import * as tf from '@tensorflow/tfjs-core'
import { key } from '@x/core-gpu'
import { checkGradients, countLeaks, expectGolden } from '@x/core-gpu/testing'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { goldenRecord, numbersOf, sineTensor } from '../golden/golden.ts'
import { mixtureDenoiser } from '../golden/mixture.ts'
import { alphaOf, type LogSnr, logSnrOfEdmSigma, sigmaOf } from '../noise-level.ts'
import { addNoise } from '../noise/add-noise.ts'
import { sampleNoise } from '../noise/sample-noise.ts'
import { startNoise } from '../noise/start-noise.ts'
import { vpSchedule } from '../schedules/vp/vp.ts'
import { clampDenoised } from './clamp-denoised.ts'
import { lcmBoundary } from './consistency-boundary.ts'
import { convertPrediction, type Prediction } from './convert-prediction.ts'
import { dynamicThreshold } from './dynamic-threshold.ts'
import { hasLearnedVariance, learnedVariance, learnedVarianceDenoiser } from './learned-variance.ts'
import { denoiserOf, type Network } from './network.ts'
import {
  consistencyParameterisation,
  edmParameterisation,
  flowParameterisation,
  type Parameterisation,
  vpParameterisation,
} from './parameterisation.ts'

const single = { abs: 2e-6, rel: 1e-5 }
const kinds: readonly Prediction[] = ['x0', 'eps', 'v', 'u', 'score']

/** Every convention, with the levels between which it determines the clean sample. */
const parameterisations: [name: string, parameterisation: Parameterisation, levels: LogSnr[]][] = [
  ['eps', vpParameterisation({ prediction: 'eps' }), [-12, -1, 3, 12, Infinity]],
  ['x0', vpParameterisation({ prediction: 'x0' }), [-Infinity, -12, 0.5, 12, Infinity]],
  [
    'v, told the time',
    vpParameterisation({ prediction: 'v', time: vpSchedule().timeOf }),
    [-Infinity, -5, 2, Infinity],
  ],
  ['u', vpParameterisation({ prediction: 'u' }), [-Infinity, -4, 4, Infinity]],
  ['score', vpParameterisation({ prediction: 'score' }), [-9, 0, 9]],
  ['flow', flowParameterisation({ timeScale: 1000 }), [-Infinity, -4, 0.3, 4, Infinity]],
  ['flow towards data', flowParameterisation({ towards: 'data' }), [-Infinity, -4, 0.3, 4, Infinity]],
  ['EDM', edmParameterisation(), [-Infinity, -8, 0, 8, Infinity]],
  ['EDM of another deviation', edmParameterisation({ sigmaData: 1.7 }), [-8, 0, 8]],
  ['consistency', consistencyParameterisation(), [-Infinity, -8, 0, 8]],
]

/** What a network would have to say for the denoiser to be exact. */
function exactNetwork(parameterisation: Parameterisation, logSnr: LogSnr): Network {
  const { inputScale, skip, out } = parameterisation
  return (seen) =>
    tf.tidy(() => {
      const x = tf.div(seen, inputScale(logSnr))
      const clean = mixtureDenoiser()(x, logSnr)
      return tf.div(tf.sub(clean, tf.mul(skip(logSnr), x)), out(logSnr) === 0 ? 1 : out(logSnr))
    })
}

export function predictionCases(): void {
  it.each(['convert-vp-1.2', 'convert-vp-0'])('converts predictions: %s', async (id) => {
    const { params, inputs, expected } = goldenRecord(id)
    const [x, prediction] = [sineTensor(inputs!['x']!), sineTensor(inputs!['prediction']!)]
    for (const [from, all] of Object.entries(expected as Record<Prediction, Record<Prediction, number[][]>>))
      for (const [to, values] of Object.entries(all)) {
        const logSnr = params['logSnr'] as number
        const options = { from: from as Prediction, to: to as Prediction }
        const got = convertPrediction(prediction, x, logSnr, options)
        await expectGolden(`${from} to ${to}`, got, { shape: [2, 3], values: numbersOf(values) }, single)
        got.dispose()
        const each = convertPrediction(prediction, x, [logSnr, logSnr], options)
        await expectGolden(`${from} to ${to}`, each, { shape: [2, 3], values: numbersOf(values) }, single)
        each.dispose()
      }
    tf.dispose([x, prediction])
  })

  it('converts predictions: flow', async () => {
    const { params, inputs, expected } = goldenRecord('convert-flow-0.3')
    const s = params['s'] as number
    // Ours preserves variance: (1 - s) x0 + s eps is longer or shorter by a factor.
    const x = tf.tidy(() => tf.div(sineTensor(inputs!['x']!), Math.hypot(1 - s, s)))
    const prediction = sineTensor(inputs!['prediction']!)
    for (const to of ['x0', 'eps'] as const) {
      const got = convertPrediction(prediction, x, 2 * Math.log((1 - s) / s), { from: 'u', to })
      const values = numbersOf((expected['u'] as Record<string, unknown>)[to])
      await expectGolden(to, got, { shape: [2, 3], values }, single)
      got.dispose()
    }
    tf.dispose([x, prediction])
  })

  it("denoises by a network of EDM's", async () => {
    const { params, inputs, expected } = goldenRecord('convert-edm-1.7')
    const logSnr = logSnrOfEdmSigma(params['sigma'] as number)
    const x = tf.tidy(() => tf.mul(alphaOf(logSnr), sineTensor(inputs!['x']!)))
    const F = sineTensor(inputs!['prediction']!)
    const denoised = denoiserOf(() => tf.clone(F), edmParameterisation())(x, logSnr)
    const { x0, eps } = expected['F'] as Record<string, unknown>
    await expectGolden('x0', denoised, { shape: [2, 3], values: numbersOf(x0) }, single)
    const noise = convertPrediction(denoised, x, logSnr, { from: 'x0', to: 'eps' })
    await expectGolden('eps', noise, { shape: [2, 3], values: numbersOf(eps) }, single)
    tf.dispose([x, F, denoised, noise])
  })

  it('comes back from every prediction', async () => {
    const [x, p] = [key(1).normal([3, 2]), key(2).normal([3, 2])]
    for (const from of kinds)
      for (const to of kinds) {
        const levels = [-3, 0.4, 2.5]
        const there = convertPrediction(p, x, levels, { from, to })
        const back = convertPrediction(there, x, levels, { from: to, to: from })
        await expectGolden(
          `${from} over ${to}`,
          back,
          { shape: [3, 2], values: [...(await p.data())] },
          {
            abs: 1e-4,
            rel: 1e-4,
          },
        )
        tf.dispose([there, back])
      }
    tf.dispose([x, p])
  })

  it.each(parameterisations)('denoises exactly by an exact network: %s', async (_, parameterisation, levels) => {
    for (const logSnr of levels) {
      const x = tf.tidy(() => tf.mul(Math.hypot(1.5 * alphaOf(logSnr), sigmaOf(logSnr)), key(3).normal([6, 2])))
      const expected = mixtureDenoiser()(x, logSnr)
      const denoised = denoiserOf(exactNetwork(parameterisation, logSnr), parameterisation)(x, logSnr)
      // What a network's error is worth in x0, in single precision.
      const abs = 1e-5 * (1 + Math.abs(parameterisation.out(logSnr)) + Math.abs(parameterisation.skip(logSnr)))
      await expectGolden(
        `at ${logSnr}`,
        denoised,
        { shape: [6, 2], values: [...(await expected.data())] },
        {
          abs,
          rel: 1e-5,
        },
      )
      tf.dispose([x, expected, denoised])
    }
  })

  it('lets a network see what it was trained on', async () => {
    const [x0, noise] = [key(4).normal([2, 3]), key(5).normal([2, 3])]
    const s = 0.2
    const logSnr = 2 * Math.log((1 - s) / s)
    const x = addNoise(x0, logSnr, { noise })
    const path = tf.tidy(() => tf.add(tf.mul(1 - s, x0), tf.mul(s, noise)))
    const calls: { seen: tf.Tensor; time: tf.Tensor; condition: unknown }[] = []
    const watch: Network<string> = (seen, time, condition) => {
      calls.push({ seen: tf.keep(tf.clone(seen)), time: tf.keep(tf.clone(time)), condition })
      return tf.zerosLike(seen)
    }
    denoiserOf(watch, flowParameterisation({ timeScale: 1000 }))(x, logSnr, 'a cat').dispose()
    denoiserOf(watch, flowParameterisation({ towards: 'data' }))(x, logSnr).dispose()
    const expected = [
      { time: 1000 * s, condition: 'a cat' },
      { time: 1 - s, condition: undefined },
    ]
    for (const [i, { time, condition }] of expected.entries()) {
      const call = calls[i]!
      await expectGolden('seen', call.seen, { shape: [2, 3], values: [...(await path.data())] }, single)
      await expectGolden('time', call.time, { shape: [2], values: [time, time] }, single)
      expect(call.condition).toBe(condition)
      tf.dispose([call.seen, call.time])
    }
    tf.dispose([x0, noise, x, path])
  })

  it('splits a learned variance off', async () => {
    const x = key(6).normal([2, 2, 2, 3])
    const network: Network = (seen) => tf.tidy(() => tf.concat([tf.mul(0.5, seen), tf.fill(seen.shape, -0.5)], -1))
    const parameterisation = vpParameterisation({ prediction: 'eps' })
    const denoiser = learnedVarianceDenoiser(network, parameterisation)
    expect([hasLearnedVariance(denoiser), hasLearnedVariance(mixtureDenoiser())]).toEqual([true, false])
    const { denoised, fraction } = denoiser.withVariance(x, 1)
    const [plain, alone] = [denoiserOf((seen) => tf.mul(0.5, seen), parameterisation)(x, 1), denoiser(x, 1)]
    const values = [...(await plain.data())]
    await expectGolden('denoised', denoised, { shape: x.shape, values }, single)
    await expectGolden('alone', alone, { shape: x.shape, values }, single)
    await expectGolden('fraction', fraction, { shape: x.shape, row: { shape: [1], values: [0.25] } }, single)
    // Between DDPM's two choices, in the logarithm.
    const share = 1 - Math.exp(-2)
    const [small, large] = [sigmaOf(3) ** 2 * share, sigmaOf(1) ** 2 * share]
    for (const [place, expected] of [
      [0, small],
      [1, large],
      [0.25, small ** 0.75 * large ** 0.25],
    ] as const) {
      const variance = tf.tidy(() => learnedVariance(tf.scalar(place), 1, 3))
      await expectGolden('variance', variance, { shape: [], values: [expected] }, { abs: 0, rel: 1e-5 })
      variance.dispose()
    }
    const { params, expected } = goldenRecord('step-vp--3--1')
    for (const [place, name] of ['ddpmVariance', 'ancestralVarUpper'].entries()) {
      const variance = tf.tidy(() =>
        learnedVariance(tf.scalar(place), params['logSnrT'] as number, params['logSnrS'] as number),
      )
      await expectGolden(name, variance, { shape: [], values: [expected[name] as number] }, { abs: 0, rel: 1e-5 })
      variance.dispose()
    }
    // Guidances that change what is predicted leave the variance as it is.
    const clamped = dynamicThreshold()(clampDenoised({ min: -0.1, max: 0.1 })(denoiser))
    if (!hasLearnedVariance(clamped)) throw new Error('the variance is lost')
    const bounded = clamped.withVariance(x, 1)
    expect(Math.max(...(await bounded.denoised.data()))).toBeCloseTo(0.1, 6)
    expect([...(await bounded.fraction.data())]).toEqual([...(await fraction.data())])
    expect(await countLeaks(() => clamped.withVariance(x, 1))).toBe(0)
    tf.dispose([bounded.denoised, bounded.fraction])
    const none = learnedVariance(fraction, 1, Infinity)
    expect(Math.max(...(await none.data()))).toBe(0)
    expect(await countLeaks(() => denoiser.withVariance(x, 1))).toBe(0)
    expect(await countLeaks(() => denoiser(x, 1))).toBe(0)
    tf.dispose([x, denoised, fraction, plain, alone, none])
  })

  it('keeps what is denoised within bounds', async () => {
    const x = tf.tensor2d([[-4, 0.5, 3]])
    const clamped = clampDenoised({ min: -2, max: 1 })((given) => tf.clone(given))(x, 0)
    expect([...(await clamped.data())]).toEqual([-2, 0.5, 1])
    tf.dispose([x, clamped])
  })

  it.each([0, 0.3, 0.9, 0.995, 1])('thresholds at a quantile of each sample: %f', async (percentile) => {
    const x = tf.tidy(() => tf.mul(tf.tensor4d([0.2, 3, 1], [3, 1, 1, 1]), key(7).normal([3, 5, 4, 3])))
    const values = [...(await x.data())]
    const identity = (given: tf.Tensor): tf.Tensor => tf.clone(given)
    for (const max of [Infinity, 1.5]) {
      const got = dynamicThreshold({ percentile, max })(identity)(x, 0)
      const expected = [0, 1, 2].flatMap((i) => {
        const sample = values.slice(i * 60, (i + 1) * 60)
        const sorted = sample.map(Math.abs).sort((a, b) => a - b)
        const place = percentile * 59
        const low = Math.floor(place)
        const at = sorted[low]! + (place - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!)
        const threshold = Math.min(max, Math.max(1, at))
        return sample.map((value) => Math.min(1, Math.max(-1, value / threshold)))
      })
      await expectGolden('thresholded', got, { shape: x.shape, values: expected }, single)
      got.dispose()
    }
    expect(await countLeaks(() => dynamicThreshold({ percentile })(identity)(x, 0))).toBe(0)
    x.dispose()
  })

  it('leads a latent consistency model from the sample to the prediction', async () => {
    const { params, expected } = goldenRecord('lcm-boundary')
    const timesteps = params['timesteps'] as number[]
    const [skip, out] = ['cSkip', 'cOut'].map((name) => numbersOf(expected[name]))
    const x = tf.tensor2d([[1, 0]])
    const boundary = lcmBoundary({ timestepOf: (logSnr) => timesteps[logSnr]! })((given) => tf.reverse(given, 1))
    for (const i of timesteps.keys()) {
      const got = boundary(x, i)
      await expectGolden('factors', got, { shape: [1, 2], values: [skip![i]!, out![i]!] }, { abs: 1e-7, rel: 1e-6 })
      got.dispose()
    }
    expect(await countLeaks(() => boundary(x, 1))).toBe(0)
    x.dispose()
  })

  it('draws a sample of its own key, whatever the batch', async () => {
    const [small, large] = [sampleNoise(key(8), [2, 3]), sampleNoise(key(8), [5, 3])]
    expect([...(await large.data())].slice(0, 6)).toEqual([...(await small.data())])
    const [sigma, unit] = [startNoise(key(8), [2, 3], [-2, 4]), startNoise(key(8), [2, 3], [-2, 4], { scale: 'unit' })]
    expect([...(await unit.data())]).toEqual([...(await small.data())])
    const values = [...(await small.data())].map((value) => value * sigmaOf(-2))
    await expectGolden('sigma', sigma, { shape: [2, 3], values }, single)
    const x0 = tf.ones([2, 3])
    const noisy = addNoise(x0, [Infinity, -1], { key: key(8) })
    // The first at clean, where no noise is left.
    const drawn = [...(await small.data())]
    const expected = [1, 1, 1, ...drawn.slice(3).map((value) => alphaOf(-1) + sigmaOf(-1) * value)]
    await expectGolden('noisy', noisy, { shape: [2, 3], values: expected }, single)
    expect(await countLeaks(() => startNoise(key(8), [2, 3], [-2, 4]))).toBe(0)
    expect(await countLeaks(() => addNoise(x0, 1, { key: key(8) }))).toBe(0)
    tf.dispose([small, large, sigma, unit, x0, noisy])
  })

  it('lets gradients through', async () => {
    const [x, prediction] = [key(9).normal([2, 3]), key(10).normal([2, 3])]
    await checkGradients(({ x, prediction }) => convertPrediction(prediction, x, [-1, 2], { from: 'v', to: 'eps' }), {
      x,
      prediction,
    })
    const denoiser = denoiserOf((seen) => tf.sin(seen), edmParameterisation())
    await checkGradients(({ x }) => denoiser(x, 0.5), { x })
    await checkGradients(({ x }) => addNoise(x, [0, 1], { key: key(1) }), { x })
    tf.dispose([x, prediction])
  })

  it('leaves no tensor behind', async () => {
    const x = key(11).normal([4, 2])
    for (const [, parameterisation] of parameterisations)
      expect(await countLeaks(() => denoiserOf((seen) => tf.sin(seen), parameterisation)(x, 1))).toBe(0)
    expect(await countLeaks(() => convertPrediction(x, x, [1, 2, 3, 4], { from: 'eps', to: 'v' }))).toBe(0)
    expect(await countLeaks(() => clampDenoised()((given) => tf.clone(given))(x, 1))).toBe(0)
    x.dispose()
  })
}

/** Numbers alone: for one backend. */
export function coefficientCases(): void {
  const expectNumbers = (got: number[], expected: unknown): void =>
    numbersOf(expected).forEach((value, i) => {
      expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(1e-10 * (1 + Math.abs(value)))
    })

  it('preconditions as EDM does', () => {
    const { params, expected } = goldenRecord('edm-precond')
    const levels = (params['sigma'] as number[]).map(logSnrOfEdmSigma)
    const { inputScale, time, skip, out } = edmParameterisation({ sigmaData: params['sigmaData'] as number })
    expectNumbers(
      levels.map((level) => inputScale(level) * alphaOf(level)),
      expected['cIn'],
    )
    expectNumbers(
      levels.map((level) => skip(level) * alphaOf(level)),
      expected['cSkip'],
    )
    expectNumbers(levels.map(out), expected['cOut'])
    expectNumbers(levels.map(time), expected['cNoise'])
  })

  it('is the identity where a consistency model ends', () => {
    const { params, expected } = goldenRecord('consistency-boundary')
    const levels = (params['sigma'] as number[]).map(logSnrOfEdmSigma)
    const { skip, out } = consistencyParameterisation({
      sigmaData: params['sigmaData'] as number,
      sigmaMin: params['sigmaMin'] as number,
    })
    expectNumbers(
      levels.map((level) => skip(level) * alphaOf(level)),
      expected['cSkip'],
    )
    expectNumbers(levels.map(out), expected['cOut'])
    expect([skip(Infinity), out(Infinity)]).toEqual([1, 0])
  })

  it('gives network and target variance 1 under EDM, at every level', () => {
    const deviation = 0.8
    const { inputScale, skip, out } = edmParameterisation({ sigmaData: deviation })
    fc.assert(
      fc.property(fc.double({ min: -40, max: 40, noNaN: true }), (level) => {
        const [alpha, sigma] = [alphaOf(level), sigmaOf(level)]
        expect(inputScale(level) ** 2 * ((alpha * deviation) ** 2 + sigma ** 2)).toBeCloseTo(1, 9)
        if (Math.abs(level) > 15) return
        const [ofX0, ofEps] = [(1 - skip(level) * alpha) / out(level), (skip(level) * sigma) / out(level)]
        expect((ofX0 * deviation) ** 2 + ofEps ** 2).toBeCloseTo(1, 7)
      }),
    )
  })

  it.each<[string, () => unknown]>([
    ['prediction', () => convertPrediction(tf.zeros([2, 2]), tf.zeros([2, 3]), 0, { from: 'eps', to: 'v' })],
    ['from', () => convertPrediction(tf.zeros([1]), tf.zeros([1]), 0, { from: 'noise' as 'eps', to: 'v' })],
    ['to', () => convertPrediction(tf.zeros([1]), tf.zeros([1]), 0, { from: 'eps', to: 'z' as 'v' })],
    ['logSnr', () => convertPrediction(tf.zeros([1]), tf.zeros([1]), -Infinity, { from: 'eps', to: 'x0' })],
    ['logSnr', () => convertPrediction(tf.zeros([1]), tf.zeros([1]), Infinity, { from: 'x0', to: 'eps' })],
    ['logSnr', () => convertPrediction(tf.zeros([1]), tf.zeros([1]), NaN, { from: 'x0', to: 'eps' })],
    ['logSnr', () => convertPrediction(tf.zeros([2]), tf.zeros([2]), [1, 2, 3], { from: 'x0', to: 'eps' })],
    ['from', () => vpParameterisation({ prediction: 'noise' as 'eps' })],
    ['time', () => vpParameterisation({ prediction: 'eps', time: 1000 as never })],
    ['timeScale', () => flowParameterisation({ timeScale: 0 })],
    ['towards', () => flowParameterisation({ towards: 'x1' as 'data' })],
    ['sigmaData', () => edmParameterisation({ sigmaData: 0 })],
    ['sigmaMin', () => consistencyParameterisation({ sigmaMin: -1 })],
    ['x', () => denoiserOf((x) => tf.clone(x), edmParameterisation())(3 as never, 0)],
    ['logSnr', () => denoiserOf((x) => tf.clone(x), edmParameterisation())(tf.zeros([1]), NaN)],
    [
      'logSnr',
      () => denoiserOf((x) => tf.clone(x), vpParameterisation({ prediction: 'eps' }))(tf.zeros([1]), -Infinity),
    ],
    ['network', () => denoiserOf((x) => tf.sum(x), edmParameterisation())(tf.zeros([2]), 0)],
    ['network', () => learnedVarianceDenoiser((x) => tf.clone(x), edmParameterisation())(tf.zeros([2, 2]), 0)],
    ['to', () => learnedVariance(tf.scalar(0), 1, 1)],
    ['min', () => clampDenoised({ min: 1, max: 1 })],
    ['percentile', () => dynamicThreshold({ percentile: 99.5 })],
    ['max', () => dynamicThreshold({ max: 0.5 })],
    ['sigmaData', () => lcmBoundary({ timestepOf: () => 0, sigmaData: 0 })],
    ['timestepScaling', () => lcmBoundary({ timestepOf: () => 0, timestepScaling: NaN })],
    ['shape', () => sampleNoise(key(0), [])],
    ['grid', () => startNoise(key(0), [1], [0])],
    ['scale', () => startNoise(key(0), [1], [0, 1], { scale: 'one' as 'unit' })],
    ['x0', () => addNoise(1 as never, 0, { key: key(0) })],
    ['logSnr', () => addNoise(tf.zeros([2]), [0], { key: key(0) })],
    ['noise', () => addNoise(tf.zeros([2]), 0, { noise: tf.zeros([3]) })],
    ['source', () => addNoise(tf.zeros([2]), 0, {} as never)],
  ])('refuses by name: %s', (name, call) => {
    const before = tf.memory().numTensors
    tf.tidy(() => {
      expect(call).toThrow(new RegExp(`^${name}: expected .* got `))
    })
    expect(tf.memory().numTensors).toBe(before)
  })
}
