import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { checkGradients, countLeaks } from '@x/core-gpu/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import { melFilters } from './mel.ts'
import { SpectralDistance, type SpectralDistanceOptions } from './spectral.ts'

/** |DFT| of every frame under a normalised Hann window, term by term in float64: [frames][bins]. */
function directSpectrum(signal: readonly number[], window: number): number[][] {
  const hop = window / 4
  const hann = Array.from({ length: window }, (_, t) => Math.sin((Math.PI * t) / window) ** 2)
  const energy = Math.sqrt(hann.reduce((sum, w) => sum + w * w, 0))
  const spectrum: number[][] = []
  // Frames begin so that the first has a quarter in the signal, and end when none is left.
  for (let begin = hop - window; begin < signal.length; begin += hop) {
    const bins = Array.from({ length: window / 2 + 1 }, (_, k) => {
      let [real, imaginary] = [0, 0]
      hann.forEach((weight, t) => {
        const value = ((signal[begin + t] ?? 0) * weight) / energy
        real += value * Math.cos((2 * Math.PI * k * t) / window)
        imaginary -= value * Math.sin((2 * Math.PI * k * t) / window)
      })
      return Math.hypot(real, imaginary)
    })
    spectrum.push(bins)
  }
  return spectrum
}

const epsilon = 1e-5

/** The same distance from direct transforms, in float64. */
function directDistance(x: number[], y: number[], options: SpectralDistanceOptions): number {
  const { windows, linear = 1, log = 1 } = options
  const each = windows.map((window) => {
    const [a, b] = [directSpectrum(x, window).flat(), directSpectrum(y, window).flat()]
    const floor = (s: number): number => Math.hypot(s, epsilon)
    const sum = a.reduce(
      (all, s, i) =>
        all + linear * Math.abs(floor(s) - floor(b[i]!)) + log * Math.abs(Math.log(floor(s)) - Math.log(floor(b[i]!))),
      0,
    )
    return sum / a.length
  })
  return each.reduce((all, d) => all + d, 0) / each.length
}

const one = async (x: tf.Scalar): Promise<number> => (await x.data())[0]!

describe.each(['cpu', 'wasm'] as const)('SpectralDistance on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each([37, 64, 5])('has the spectra of direct transforms in float64, for %i samples', async (length) => {
    const x = key(1).normal<tf.Rank.R3>([1, length, 2])
    const values = Array.from(await x.data())
    const distance = new SpectralDistance({ windows: [8, 32] })
    const spectra = distance.spectra(x)
    for (const [i, window] of [8, 32].entries()) {
      const wanted = [0, 1].map((c) => directSpectrum(values.filter((_, j) => j % 2 === c), window)) // prettier-ignore
      expect(spectra[i]!.shape).toEqual([2, wanted[0]!.length, window / 2 + 1])
      const got = await spectra[i]!.data()
      wanted.flat(2).forEach((value, j) => expect(Math.abs(got[j]! - value)).toBeLessThan(2e-5))
    }
    tf.dispose([x, spectra])
    distance.dispose()
  })

  it.each([
    { windows: [8, 16, 64] },
    { windows: [16], log: 0 },
    { windows: [16], linear: 0, log: 2 },
    { windows: [128], linear: 0.5 },
  ])('is the distance of direct transforms in float64: %o', async (options) => {
    const [x, y] = [key(2).normal<tf.Rank.R3>([1, 50, 1]), key(3).normal<tf.Rank.R3>([1, 50, 1])]
    const wanted = directDistance(Array.from(await x.data()), Array.from(await y.data()), options)
    const distance = new SpectralDistance(options)
    const got = await one(distance.between(x, y))
    expect(Math.abs(got - wanted) / wanted).toBeLessThan(1e-3)
    expect(await one(distance.between(x, x))).toBe(0)
    expect(await one(distance.between(y, x))).toBeCloseTo(got, 6)
    tf.dispose([x, y])
    distance.dispose()
  })

  it('adds frequencies up to mel bands by the filters', async () => {
    const x = key(4).normal<tf.Rank.R3>([1, 40, 1])
    const mel = { sampleRate: 8000, filters: [5, 7] }
    const distance = new SpectralDistance({ windows: [16, 32], mel })
    const spectra = distance.spectra(x)
    for (const [i, window] of [16, 32].entries()) {
      const [bins, filters] = [window / 2 + 1, mel.filters[i]!]
      const weights = melFilters({ filters, bins, sampleRate: 8000 })
      const wanted = directSpectrum(Array.from(await x.data()), window).map((frame) =>
        Array.from({ length: filters }, (_, m) =>
          frame.reduce((sum, s, k) => sum + s * weights[k * filters + m]!, epsilon),
        ),
      )
      const got = await spectra[i]!.data()
      expect(spectra[i]!.shape).toEqual([1, wanted.length, filters])
      wanted.flat().forEach((value, j) => expect(Math.abs(got[j]! - value)).toBeLessThan(1e-4))
    }
    tf.dispose([x, spectra])
    distance.dispose()
  })

  it.each([
    { windows: [8, 16], epsilon: 0.05 },
    { windows: [16], epsilon: 0.05, mel: { sampleRate: 8000, filters: 4, scale: 'slaney' as const } },
  ])('has the gradients of finite differences: %o', async (options) => {
    const distance = new SpectralDistance(options)
    const x = key(5).normal([2, 21, 1])
    // Half as loud at all frequencies, so that no difference is near 0, where its absolute value has a kink.
    const y = tf.mul(x, 0.5)
    await checkGradients(
      (inputs) => distance.between(inputs.x, inputs.y),
      { x, y },
      { step: 2 ** -10, tolerance: 1e-2 },
    )
    tf.dispose([x, y])
    distance.dispose()
  })

  it('has finite gradients in silence', async () => {
    const distance = new SpectralDistance({ windows: [8] })
    const [x, y] = [tf.zeros([1, 16, 1]), key(7).normal([1, 16, 1])]
    const gradient = tf.grad((silent: tf.Tensor) => distance.between(silent, y))(x)
    expect((await gradient.data()).every(Number.isFinite)).toBe(true)
    tf.dispose([x, y, gradient])
    distance.dispose()
  })

  it('leaves nothing behind', async () => {
    const [x, y] = [key(8).normal([1, 30, 1]), key(9).normal([1, 30, 1])]
    const before = tf.memory().numTensors
    const distance = new SpectralDistance({ windows: [8, 16], mel: { sampleRate: 100, filters: 3 } })
    expect(await countLeaks(() => [distance.between(x, y), distance.spectra(x)])).toBe(0)
    distance.dispose()
    expect(tf.memory().numTensors).toBe(before)
    tf.dispose([x, y])
  })

  it('refuses bad options and shapes by name', () => {
    const before = tf.memory().numTensors
    const bad: [SpectralDistanceOptions, RegExp][] = [
      [{ windows: [] }, /^windows/],
      [{ windows: [6] }, /^windows/],
      [{ windows: [2] }, /^windows/],
      [{ windows: [8], linear: -1 }, /^linear/],
      [{ windows: [8], log: NaN }, /^log/],
      [{ windows: [8], epsilon: 0 }, /^epsilon/],
      [{ windows: [8], mel: { sampleRate: 0, filters: 3 } }, /^mel\.sampleRate/],
      [{ windows: [8], mel: { sampleRate: 8, filters: 0 } }, /^mel\.filters/],
      [{ windows: [8], mel: { sampleRate: 8, filters: [3, 3] } }, /^mel\.filters/],
      [{ windows: [8], mel: { sampleRate: 8, filters: 3, scale: 'bark' as 'htk' } }, /^mel\.scale/],
      [{ windows: [8], hop: 2 } as SpectralDistanceOptions, /^hop/],
    ]
    for (const [options, message] of bad) expect(() => new SpectralDistance(options)).toThrow(message)
    expect(tf.memory().numTensors).toBe(before)
    const distance = new SpectralDistance({ windows: [8] })
    const [x, flat, long] = [tf.zeros([1, 8, 1]), tf.zeros([8]), tf.zeros([1, 9, 1])]
    expect(() => distance.between(flat, flat)).toThrow(/^x/)
    expect(() => distance.between(x, long)).toThrow(/^y/)
    expect(() => distance.spectra(flat)).toThrow(/^x/)
    tf.dispose([x, flat, long])
    distance.dispose()
  })
})

describe('melFilters', () => {
  const options = { filters: 20, bins: 257, sampleRate: 16000 }
  const column = (weights: Float32Array, filters: number, m: number): number[] =>
    Array.from({ length: weights.length / filters }, (_, k) => weights[k * filters + m]!)

  it.each(['htk', 'slaney'] as const)('rises and falls once, and neighbours meet: %s', (scale) => {
    const weights = melFilters({ ...options, scale })
    const columns = Array.from({ length: 20 }, (_, m) => column(weights, 20, m))
    for (const filter of columns) {
      const top = filter.indexOf(Math.max(...filter))
      expect(filter.every((value) => value >= 0 && value <= 1)).toBe(true)
      expect(filter.every((value, k) => k === 0 || k > top || value >= filter[k - 1]!)).toBe(true)
      expect(filter.every((value, k) => k <= top || value <= filter[k - 1]!)).toBe(true)
    }
    // Where one filter falls the next one rises: between the outer middles they add up to 1.
    const tops = columns.map((filter) => filter.indexOf(Math.max(...filter)))
    for (let k = tops[0]! + 1; k < tops.at(-1)!; k++) {
      const sum = columns.reduce((all, filter) => all + filter[k]!, 0)
      expect(sum).toBeCloseTo(1, 5)
    }
  })

  it('has its middles where the scales say', () => {
    // 1000 Hz is 1000 mel by the first formula up to rounding, and 15 by the second.
    const natural = (hertz: number): number => 1127.0105 * Math.log(1 + hertz / 700)
    const linear = (hertz: number): number => (hertz * 3) / 200
    for (const [scale, toMel, high] of [
      ['htk', natural, 8000],
      ['slaney', linear, 1000],
    ] as const) {
      const bins = 16001
      const weights = melFilters({ filters: 9, bins, sampleRate: 16000, high, scale })
      for (let m = 0; m < 9; m++) {
        const filter = column(weights, 9, m)
        const hertz = filter.indexOf(Math.max(...filter)) / 2
        expect(toMel(hertz)).toBeCloseTo((toMel(high) * (m + 1)) / 10, 0)
        expect(Math.max(...filter)).toBeGreaterThan(0.98)
      }
    }
    // Above 1000 Hz Slaney's middles are a constant factor apart.
    const bins = 64001
    const weights = melFilters({ filters: 26, bins, sampleRate: 12800, low: 1000, high: 6400, scale: 'slaney' })
    const tops = Array.from({ length: 26 }, (_, m) => {
      const filter = column(weights, 26, m)
      return filter.indexOf(Math.max(...filter)) / 10
    })
    tops.forEach((hertz, m) => expect(hertz / (1000 * 6.4 ** ((m + 1) / 27))).toBeCloseTo(1, 3))
  })

  it('has filters of area 1 if normalised', () => {
    const bins = 8001
    const weights = melFilters({ filters: 12, bins, sampleRate: 16000, normalised: true })
    for (let m = 0; m < 12; m++) expect(column(weights, 12, m).reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 3)
  })

  it('refuses bad options by name', () => {
    for (const [name, values] of Object.entries({
      filters: [0, 1.5],
      bins: [1],
      sampleRate: [0],
      low: [-1],
      high: [0, 9000],
      scale: ['bark'],
      normalised: [1],
      mels: [3],
    }))
      for (const value of values)
        expect(() => melFilters({ ...options, [name]: value })).toThrow(new RegExp(`^${name}`))
  })
})
