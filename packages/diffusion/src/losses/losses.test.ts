import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type GoldenRecord, goldenRecord, goldenRecords, numbersOf } from '../golden/golden.ts'
import { logSnrOfEdmSigma } from '../noise-level.ts'
import {
  consistencyParameterisation,
  edmParameterisation,
  vpParameterisation,
} from '../predictions/parameterisation.ts'
import { cosineSchedule } from '../schedules/cosine/cosine.ts'
import { diffusionLoss, type DiffusionLossOptions } from './diffusion-loss.ts'
import { learnedVarianceLoss, type LearnedVarianceLossOptions } from './learned-variance-loss.ts'
import { lossCases } from './losses.cases.ts'
import { multiscaleSquares } from './multiscale-squares.ts'
import { type TrainingTimes, trainingTimes } from './training-times.ts'
import {
  edmWeight,
  type LossWeight,
  minSnrWeight,
  p2Weight,
  sigmoidWeight,
  uniformWeight,
  weightOn,
} from './weights.ts'

describe.each(['cpu', 'wasm'] as const)('losses on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))
  lossCases()
})

function expectNumbers(got: number[], expected: unknown): void {
  const wanted = numbersOf(expected)
  expect(got).toHaveLength(wanted.length)
  wanted.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(1e-10 * (1 + Math.abs(value))))
}

describe('weights', () => {
  const ofType = (type: string): GoldenRecord[] =>
    goldenRecords('weight').filter(({ params }) => params['type'] === type)

  const check = ({ params, expected }: GoldenRecord, weight: LossWeight): void => {
    const levels = params['logSnr'] as number[]
    expectNumbers(levels.map(weightOn(weight, 'x0')), expected['onX0'])
    expectNumbers(levels.map(weightOn(weight, 'eps')), expected['onEps'])
    expectNumbers(levels.map(weightOn(weight, 'v')), expected['onV'])
  }

  it.each(ofType('minSnr'))('as recorded: $id', (record) =>
    check(record, minSnrWeight(record.params['gamma'] as number)),
  )
  it.each(ofType('sigmoid'))('as recorded: $id', (record) =>
    check(record, sigmoidWeight(record.params['bias'] as number)),
  )

  it('as recorded: EDM', () => {
    const { params, expected } = goldenRecord('edm-precond')
    const levels = (params['sigma'] as number[]).map(logSnrOfEdmSigma)
    expectNumbers(levels.map(weightOn(edmWeight(params['sigmaData'] as number), 'x0')), expected['lossWeight'])
  })

  it('as recorded: over logSNR', () => {
    const { params, expected } = goldenRecord('sid2-weight-b-3')
    const schedule = cosineSchedule({
      logSnrMin: params['logSnrMin'] as number,
      logSnrMax: params['logSnrMax'] as number,
    })
    const weight = sigmoidWeight(params['bias'] as number)
    const times = params['t'] as number[]
    const over = (measure: 'x0' | 'eps'): number[] =>
      times.map((t) => (-schedule.slope(t) / 2) * weightOn(weight, measure)(schedule(t)))
    expectNumbers(over('x0'), expected['wOnX0'])
    expectNumbers(over('eps'), expected['wOnEps'])
  })

  it('are uniform on what they say, and p2 without gamma on eps', () => {
    fc.assert(
      fc.property(fc.double({ min: -20, max: 20, noNaN: true }), (level) => {
        for (const measure of ['eps', 'x0', 'v', 'u'] as const)
          expect(weightOn(uniformWeight(measure), measure)(level)).toBeCloseTo(1, 9)
        expect(p2Weight({ gamma: 0 })(level)).toBe(1)
        expect(p2Weight()(level)).toBeCloseTo(sigmoidWeight(0)(level), 12)
      }),
    )
  })
})

describe('training times', () => {
  const names: TrainingTimes[] = ['uniform', 'stratified', 'lowDiscrepancy']

  it.each(names)('%s: inside (0, 1), spread evenly, by the key alone', (times) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(), (batch, seed) => {
        const drawn = trainingTimes(key(seed), batch, times)
        expect(drawn).toHaveLength(batch)
        for (const t of drawn) expect(t > 0 && t < 1).toBe(true)
        expect(trainingTimes(key(seed), batch, times)).toEqual(drawn)
      }),
    )
    const mean = trainingTimes(key(1), 4000, times).reduce((a, b) => a + b, 0) / 4000
    // Four standard deviations of the mean of independent draws.
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 / Math.sqrt(12 * 4000))
  })

  it('takes one of each part', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(), (batch, seed) => {
        const parts = (times: TrainingTimes): number[] =>
          Array.from(trainingTimes(key(seed), batch, times), (t) => Math.floor(t * batch)).sort((a, b) => a - b)
        expect(parts('stratified')).toEqual(Array.from({ length: batch }, (_, i) => i))
        const even = trainingTimes(key(seed), batch, 'lowDiscrepancy').sort()
        even.forEach((t, i) => i > 0 && expect(t - even[i - 1]!).toBeCloseTo(1 / batch, 9))
      }),
    )
  })

  it('draws a uniform time of its own for each sample, whatever the batch', () => {
    expect(trainingTimes(key(2), 9, 'uniform').subarray(0, 4)).toEqual(trainingTimes(key(2), 4, 'uniform'))
  })
})

describe('refusals', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  const loss = (
    given: Partial<DiffusionLossOptions>,
    network = (x: tf.Tensor): tf.Tensor => tf.zerosLike(x),
  ): unknown =>
    diffusionLoss(tf.zeros([2, 3]), network, {
      parameterisation: edmParameterisation(),
      schedule: cosineSchedule(),
      key: key(0),
      ...given,
    })

  const learned = (given: Partial<LearnedVarianceLossOptions>): unknown =>
    learnedVarianceLoss(tf.zeros([2, 3]), (x) => tf.concat([x, x], -1), {
      parameterisation: edmParameterisation(),
      grid: [0, 1],
      key: key(0),
      ...given,
    })

  it.each<[string, () => unknown]>([
    ['grid', () => learned({ grid: [1, 0] })],
    ['boundWeight', () => learned({ boundWeight: -1 })],
    ['weight', () => learned({ weight: () => NaN })],
    ['x0', () => learnedVarianceLoss(null as never, (x) => x, {} as never)],
    [
      'network',
      () =>
        learnedVarianceLoss(tf.zeros([1, 2]), (x) => tf.clone(x), {
          parameterisation: edmParameterisation(),
          grid: [0, 1],
          key: key(0),
        }),
    ],
    ['gamma', () => minSnrWeight(0)],
    ['bias', () => sigmoidWeight(NaN)],
    ['sigmaData', () => edmWeight(-1)],
    ['k', () => p2Weight({ k: 0 })],
    ['gamma', () => p2Weight({ gamma: -1 })],
    ['measure', () => uniformWeight('score' as 'eps')],
    ['measure', () => weightOn(sigmoidWeight(), 'F' as 'eps')],
    ['batch', () => trainingTimes(key(0), 1.5)],
    ['times', () => trainingTimes(key(0), 1, 'even' as 'uniform')],
    ['x0', () => diffusionLoss(1 as never, (x) => x, {} as never)],
    ['over', () => loss({ over: 'snr' as 'time' })],
    ['weight', () => loss({ weight: () => Infinity })],
    ['network', () => loss({}, (x) => tf.sum(x))],
    ['logSnr', () => loss({ parameterisation: vpParameterisation({ prediction: 'eps' }), schedule: () => -Infinity })],
    ['logSnr', () => loss({ parameterisation: consistencyParameterisation(), schedule: () => 20 })],
    ['error', () => loss({ multiscale: { scales: [1] } })],
    ['error', () => multiscaleSquares(tf.zeros([1, 4, 2, 1]), { scales: [2] })],
    ['scales', () => multiscaleSquares(tf.zeros([1, 4, 4, 1]), { scales: [3] })],
    ['combine', () => multiscaleSquares(tf.zeros([1, 4, 4, 1]), { scales: [2], combine: 'sum' as 'paper' })],
  ])('name %s', (name, call) => {
    const before = tf.memory().numTensors
    tf.tidy(() => {
      expect(call).toThrow(new RegExp(`^${name}: expected .* got `))
    })
    expect(tf.memory().numTensors).toBe(before)
  })

  it('name scales when there are none', () => {
    tf.tidy(() => {
      expect(() => multiscaleSquares(tf.zeros([1, 4, 4, 1]), { scales: [] })).toThrow(/^scales: expected at least one/)
    })
  })
})
