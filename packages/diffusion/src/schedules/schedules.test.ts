import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GoldenRecord, goldenRecord, goldenRecords, numbersOf } from '../golden/golden.ts'
import { alphaOf, edmSigmaOf, sigmaOf } from '../noise-level.ts'
import type { Schedule, SmoothSchedule } from '../schedule.ts'
import { cosineBetas, linearBetas, scaledLinearBetas, zeroTerminalSnr } from '../timesteps/betas.ts'
import { timestepTable } from '../timesteps/timestep-table.ts'
import { clipSchedule } from './clip-schedule.ts'
import { cosineSchedule } from './cosine/cosine.ts'
import { shiftedCosineSchedule } from './cosine/shifted-cosine.ts'
import { flowSchedule } from './flow/flow.ts'
import { karrasSchedule } from './karras/karras.ts'
import { linearLogSnrSchedule } from './linear-log-snr/linear-log-snr.ts'
import { logNormalSchedule } from './log-normal/log-normal.ts'
import { normalQuantile } from './log-normal/normal-quantile.ts'
import { logitNormalTimes } from './logit-normal-times.ts'
import { interpolatedShift, resolutionShift, shiftSchedule } from './shift-schedule.ts'
import { sigmoidSchedule } from './sigmoid/sigmoid.ts'
import { slopeOf, smoothSchedule, timeOf } from './smooth-schedule.ts'
import { veSchedule } from './ve/ve.ts'
import { scaledLinearSchedule, vpSchedule } from './vp/vp.ts'

const half = interpolatedShift({ atData: 256, atNoise: 32, image: 512 })

/** With the levels at clean and at noise that each should have. */
const all: [name: string, schedule: SmoothSchedule, clean: number, noise: number][] = [
  ['cosine', cosineSchedule(), 15, -15],
  ['whole cosine', cosineSchedule({ logSnrMin: -Infinity, logSnrMax: Infinity }), Infinity, -Infinity],
  ['linear in logSNR', linearLogSnrSchedule({ logSnrMin: -9, logSnrMax: 11 }), 11, -9],
  ['vp', vpSchedule(), Infinity, -Math.log(Math.expm1(10.05))],
  ['vp of one rate', vpSchedule({ betaMin: 5, betaMax: 5 }), Infinity, -Math.log(Math.expm1(5))],
  ['vp from rest', vpSchedule({ betaMin: 0 }), Infinity, -Math.log(Math.expm1(10))],
  ['scaled linear', scaledLinearSchedule({ betaMin: 1, betaMax: 9 }), Infinity, -Math.log(Math.expm1(13 / 3))],
  ['ve', veSchedule({ sigmaMin: 0.02, sigmaMax: 20 }), -2 * Math.log(0.02), -2 * Math.log(20)],
  ['karras', karrasSchedule(), -2 * Math.log(0.002), -2 * Math.log(80)],
  ['log-normal', logNormalSchedule(), Infinity, -Infinity],
  ['sigmoid', sigmoidSchedule(), Infinity, -Infinity],
  ['steep sigmoid', sigmoidSchedule({ start: 0, temperature: 0.3 }), Infinity, -Infinity],
  ['flow', flowSchedule(), Infinity, -Infinity],
  ['shifted flow', flowSchedule({ shift: 3 }), Infinity, -Infinity],
  ['shifted cosine', shiftedCosineSchedule({ shift: -2 }), 13, -17],
  ['shifted cosine, clipped after', shiftedCosineSchedule({ shift: -2, clip: 'postShift' }), 15, -15],
  ['interpolated cosine', shiftedCosineSchedule({ shift: half }), 15 + half.atData, -15 + half.atNoise],
  ['interpolated cosine, clipped after', shiftedCosineSchedule({ shift: half, clip: 'postShift' }), 15, -15],
  ['clipped flow', clipSchedule(flowSchedule(), { logSnrMin: -8, logSnrMax: 9 }), 9, -8],
  ['half-clipped vp', clipSchedule(vpSchedule(), { logSnrMax: 9 }), 9, -Math.log(Math.expm1(10.05))],
  ['logit-normal times of vp', logitNormalTimes(vpSchedule()), Infinity, -Math.log(Math.expm1(10.05))],
  ['own', smoothSchedule({ logSnr: (t) => 3 - t ** 3 - t, slope: (t) => -3 * t ** 2 - 1 }), 3, 1],
  ['linear betas', timestepTable(linearBetas()).schedule, ...endsOf(linearBetas())],
  ['scaled linear betas', timestepTable(scaledLinearBetas()).schedule, ...endsOf(scaledLinearBetas())],
  ['cosine betas', timestepTable(cosineBetas(), { interpolation: 'sigma' }).schedule, ...endsOf(cosineBetas())],
  ['zero terminal SNR', timestepTable(zeroTerminalSnr(linearBetas())).schedule, endsOf(linearBetas())[0], -Infinity],
]

function endsOf(betas: Float64Array): [number, number] {
  const bar = betas.reduce((product, beta) => product * (1 - beta), 1)
  return [Math.log((1 - betas[0]!) / betas[0]!), Math.log(bar / (1 - bar))]
}

/** The level's accuracy is that of 1 - t, as far as the slope shows. */
function allowed(schedule: SmoothSchedule, t: number): number {
  return 1e-9 * (1 + Math.abs(schedule(t))) + 1e-14 * Math.abs(schedule.slope(t))
}

describe.each(all)('schedule: %s', (_, schedule, clean, noise) => {
  const inner = fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true })

  it('ends where it says', () => {
    if (Number.isFinite(clean)) expect(schedule(0)).toBeCloseTo(clean, 9)
    else expect(schedule(0)).toBe(clean)
    if (Number.isFinite(noise)) expect(schedule(1)).toBeCloseTo(noise, 9)
    else expect(schedule(1)).toBe(noise)
    expect([schedule.timeOf(schedule(0)), schedule.timeOf(schedule(1))]).toEqual([0, 1])
    expect([schedule.timeOf(Infinity), schedule.timeOf(-Infinity)]).toEqual([0, 1])
  })

  it('falls', () => {
    fc.assert(
      fc.property(inner, inner, (a, b) => {
        fc.pre(Math.abs(a - b) > 1e-9)
        expect(schedule(Math.min(a, b))).toBeGreaterThan(schedule(Math.max(a, b)))
      }),
    )
    expect(schedule(0)).toBeGreaterThan(schedule(1e-4))
    expect(schedule(1)).toBeLessThan(schedule(1 - 1e-4))
  })

  it('is inverted', () => {
    fc.assert(
      fc.property(inner, (t) => {
        const level = schedule(t)
        expect(Math.abs(schedule.timeOf(level) - t)).toBeLessThan(1e-9)
        expect(Math.abs(schedule(schedule.timeOf(level)) - level)).toBeLessThan(allowed(schedule, t))
      }),
    )
  })

  it('has the derivative that differences show', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.003, max: 0.997, noNaN: true }), (t) => {
        // A table is made of pieces: within one.
        const middle = (Math.floor(t * 999) + 0.5) / 999
        const step = 1e-5
        const at = (k: number): number => schedule(middle + k * step)
        const numeric = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
        expect(Math.abs(schedule.slope(middle) - numeric)).toBeLessThan(1e-5 * (1 + Math.abs(numeric)))
        expect(schedule.slope(middle)).toBeLessThan(0)
      }),
    )
    for (const t of [0, 1]) if (!Number.isFinite(schedule(t))) expect(schedule.slope(t)).toBe(-Infinity)
  })

  it('refuses times outside [0, 1] and levels that are none', () => {
    for (const t of [-1e-9, 1.0001, NaN, '0' as unknown as number]) {
      expect(() => schedule(t)).toThrow(/^t: expected a number from 0 to 1/)
      expect(() => schedule.slope(t)).toThrow(/^t:/)
    }
    expect(() => schedule.timeOf(NaN)).toThrow(/^logSnr: expected a number, got NaN/)
  })
})

function expectNumbers(got: number[], expected: unknown, tol: number): void {
  const wanted = numbersOf(expected)
  expect(got).toHaveLength(wanted.length)
  wanted.forEach((value, i) => {
    if (!(Math.abs(got[i]! - value) <= tol * (1 + Math.abs(value))))
      throw new Error(`[${i}]: got ${got[i]}, expected ${value}`)
  })
}

function scheduleOf({ params }: GoldenRecord): Schedule {
  const n = params as Record<string, number>
  const range = { logSnrMin: n['logSnrMin']!, logSnrMax: n['logSnrMax']! }
  switch (params['type']) {
    case 'cosine':
      return cosineSchedule(range)
    case 'linearLogSnr':
      return linearLogSnrSchedule(range)
    case 'shiftedCosine': {
      const shift = resolutionShift({ noise: n['noiseD']!, image: n['imageD']! })
      return shiftedCosineSchedule({ ...range, shift, clip: params['clip'] as 'preShift' })
    }
    case 'interpolatedCosine': {
      const shift = interpolatedShift({ atData: n['atData']!, atNoise: n['atNoise']!, image: n['imageD']! })
      return shiftedCosineSchedule({ ...range, shift })
    }
    default:
      throw new RangeError(`type: expected a known schedule, got ${String(params['type'])}`)
  }
}

describe('schedules as recorded', () => {
  it.each(goldenRecords('schedule/logsnr'))('$id', (record) => {
    const schedule = scheduleOf(record)
    const times = record.params['t'] as number[]
    const levels = times.map(schedule)
    expectNumbers(levels, record.expected['logSnr'], record.tol)
    expectNumbers(levels.map(alphaOf), record.expected['alpha'], record.tol)
    expectNumbers(levels.map(sigmaOf), record.expected['sigma'], record.tol)
    expectNumbers(levels.map(edmSigmaOf), record.expected['sigmaEdm'], record.tol)
    expectNumbers(
      times.map((t) => slopeOf(schedule, t)),
      record.expected['dLogSnrDt'],
      record.tol,
    )
  })

  it('vp', () => {
    const { params, expected, tol } = goldenRecord('vp-continuous')
    const levels = (params['t'] as number[]).map(vpSchedule())
    expectNumbers(levels, expected['logSnr'], tol)
    expectNumbers(levels.map(alphaOf), expected['alpha'], tol)
    expectNumbers(levels.map(edmSigmaOf), expected['sigmaEdm'], tol)
  })

  it('ve', () => {
    const { params, expected, tol } = goldenRecord('ve-continuous')
    const schedule = veSchedule({ sigmaMin: params['sigmaMin'] as number, sigmaMax: params['sigmaMax'] as number })
    expectNumbers((params['t'] as number[]).map(schedule).map(edmSigmaOf), expected['sigma'], tol)
  })

  it('flow', () => {
    const { params, expected, tol } = goldenRecord('flow')
    const levels = (params['s'] as number[]).map(flowSchedule())
    expectNumbers(levels, expected['logSnr'], tol)
    expectNumbers(levels.map(edmSigmaOf), expected['sigmaEdm'], tol)
  })

  it.each(['flow-shift-3', 'flow-shift-1.5'])('%s', (id) => {
    const { params, expected, tol } = goldenRecord(id)
    const shift = params['shift'] as number
    const times = params['s'] as number[]
    // A shift of the levels is a shift of the times, and the other way round.
    for (const schedule of [flowSchedule({ shift }), shiftSchedule(flowSchedule(), -2 * Math.log(shift))])
      expectNumbers(times.map(schedule).map(flowSchedule().timeOf), expected['s'], tol)
  })

  it('logit-normal quantiles, of which flow matching is the log-normal schedule', () => {
    const { params, expected, tol } = goldenRecord('logit-normal-quantiles')
    const of = { mean: params['mean'] as number, standardDeviation: params['std'] as number }
    for (const schedule of [logitNormalTimes(flowSchedule(), of), logNormalSchedule(of)])
      expectNumbers((params['p'] as number[]).map(schedule).map(flowSchedule().timeOf), expected['s'], tol)
  })

  it("SiD's generator noise", () => {
    const { params, expected, tol } = goldenRecord('sid-sigma')
    expectNumbers((params['t'] as number[]).map(karrasSchedule()).map(edmSigmaOf), expected['sigma'], tol)
  })
})

describe('composition', () => {
  it('turns resolution into a shift: averaging s x s pixels raises SNR by s^2', () => {
    expect(resolutionShift({ noise: 64, image: 128 })).toBeCloseTo(-2 * Math.log(2), 12)
  })

  it('leaves a schedule within the range as it is', () => {
    const [schedule, clipped] = [cosineSchedule(), clipSchedule(cosineSchedule(), { logSnrMin: -20, logSnrMax: 20 })]
    fc.assert(fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (t) => clipped(t) === schedule(t)))
  })

  it('takes any function, and finds its slope and inverse', () => {
    const plain: Schedule = (t) => 4 - 8 * t ** 3 - t
    expect(slopeOf(plain, 0.5)).toBeCloseTo(-7, 9)
    expect(slopeOf(plain, 0)).toBeCloseTo(-1, 8)
    expect(slopeOf(plain, 1)).toBeCloseTo(-25, 8)
    expect(timeOf(plain, plain(0.3))).toBeCloseTo(0.3, 12)
    expect([timeOf(plain, 5), timeOf(plain, -6)]).toEqual([0, 1])
    expect(slopeOf((t) => -Math.log(t), 0)).toBe(-Infinity)
    expect(shiftSchedule(plain, 1)(0.5)).toBe(plain(0.5) + 1)
    expect(() => slopeOf(plain, 2)).toThrow(/^t:/)
    expect(() => timeOf(plain, NaN)).toThrow(/^logSnr:/)
  })

  it('is symmetric where normal draws are', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 0.5, noNaN: true }), (p) => {
        expect(normalQuantile(p)).toBeLessThanOrEqual(0)
        if (p > 1e-9) expect(Math.abs(normalQuantile(1 - p) + normalQuantile(p))).toBeLessThan(1e-6)
      }),
    )
    // Of the normal distribution's table.
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 14)
    expect(normalQuantile(1e-20)).toBeCloseTo(-9.262340089798405, 12)
    expect(normalQuantile(1e-10)).toBeCloseTo(-6.361340902404056, 12)
  })
})

describe('refusals', () => {
  it.each([
    ['logSnrMin', () => cosineSchedule({ logSnrMin: 3, logSnrMax: 3 })],
    ['logSnrMin', () => cosineSchedule({ logSnrMin: NaN })],
    ['logSnrMin', () => linearLogSnrSchedule({ logSnrMin: -Infinity })],
    ['logSnrMax', () => linearLogSnrSchedule({ logSnrMax: Infinity })],
    ['logSnrMin', () => clipSchedule(cosineSchedule(), { logSnrMin: 20, logSnrMax: 30 })],
    ['logSnrMin', () => clipSchedule(cosineSchedule(), { logSnrMin: 2, logSnrMax: 1 })],
    ['betaMin', () => vpSchedule({ betaMin: -1 })],
    ['betaMax', () => vpSchedule({ betaMax: 0.01 })],
    ['betaMax', () => scaledLinearSchedule({ betaMax: Infinity })],
    ['sigmaMin', () => veSchedule({ sigmaMin: 0 })],
    ['sigmaMax', () => veSchedule({ sigmaMax: 0.001 })],
    ['sigmaMax', () => karrasSchedule({ sigmaMax: Infinity })],
    ['rho', () => karrasSchedule({ rho: 0 })],
    ['mean', () => logNormalSchedule({ mean: NaN })],
    ['standardDeviation', () => logNormalSchedule({ standardDeviation: 0 })],
    ['mean', () => logitNormalTimes(flowSchedule(), { mean: Infinity })],
    ['standardDeviation', () => logitNormalTimes(flowSchedule(), { standardDeviation: -1 })],
    ['start', () => sigmoidSchedule({ start: -Infinity })],
    ['end', () => sigmoidSchedule({ end: -4 })],
    ['temperature', () => sigmoidSchedule({ temperature: 0 })],
    ['shift', () => flowSchedule({ shift: 0 })],
    ['shift', () => shiftSchedule(cosineSchedule(), Infinity)],
    ['shift', () => shiftSchedule(cosineSchedule(), { atData: 0, atNoise: 7 })],
    ['clip', () => shiftedCosineSchedule({ shift: 1, clip: 'after' as 'preShift' })],
    ['noise', () => resolutionShift({ noise: 0, image: 64 })],
    ['image', () => resolutionShift({ noise: 64, image: NaN })],
    ['atData', () => interpolatedShift({ atData: 0, atNoise: 32, image: 64 })],
    ['atNoise', () => interpolatedShift({ atData: 32, atNoise: -1, image: 64 })],
    ['logSnr', () => smoothSchedule({ logSnr: (t) => t, slope: () => 1 })],
  ])('names %s', (name, call) => {
    expect(call).toThrow(RangeError)
    expect(call).toThrow(new RegExp(`^${name}: expected .* got `))
  })
})
