import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bootstrapInterval, mean, median, quantile, standardDeviation, uniformNumbers } from './statistics.ts'

const numbers = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 40 })

describe('statistics against closed forms', () => {
  it('1, ..., n has mean (n + 1) / 2 and variance n (n + 1) / 12', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), (n) => {
        const values = Array.from({ length: n }, (_, i) => i + 1)
        expect(mean(values)).toBeCloseTo((n + 1) / 2, 9)
        expect(standardDeviation(values) ** 2).toBeCloseTo((n * (n + 1)) / 12, 6)
        expect(median(values)).toBeCloseTo((n + 1) / 2, 9)
      }),
    )
  })

  it('one value has no spread', () => expect(standardDeviation([3])).toBe(0))

  it('quantiles lie between neighbours', () => {
    expect(quantile([4, 1, 3, 2], 0)).toBe(1)
    expect(quantile([4, 1, 3, 2], 1)).toBe(4)
    expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75)
  })

  it('quantiles grow with the fraction and stay within the values', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: 0, max: 1, noNaN: true }), (values, fraction) => {
        expect(quantile(values, fraction)).toBeGreaterThanOrEqual(quantile(values, fraction / 2))
        expect(quantile(values, fraction)).toBeLessThanOrEqual(Math.max(...values))
      }),
    )
  })

  it('the uniform numbers fill [0, 1) evenly', () => {
    const uniform = uniformNumbers(7)
    const values = Array.from({ length: 20_000 }, uniform)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...values)).toBeLessThan(1)
    expect(mean(values)).toBeCloseTo(0.5, 2)
    expect(standardDeviation(values) ** 2).toBeCloseTo(1 / 12, 2)
  })
})

describe('bootstrapInterval', () => {
  it('of equal values is that value', () => expect(bootstrapInterval([2, 2, 2])).toEqual({ low: 2, high: 2 }))

  it('of a mean comes near the normal interval, mean ± 1.96 s / sqrt(n)', () => {
    const uniform = uniformNumbers(1)
    const values = Array.from({ length: 400 }, uniform)
    const half = (1.96 * standardDeviation(values)) / Math.sqrt(values.length)
    const { low, high } = bootstrapInterval(values, { statistic: mean })
    expect(low).toBeCloseTo(mean(values) - half, 2)
    expect(high).toBeCloseTo(mean(values) + half, 2)
  })

  it('is the same for the same samples, and wider when surer', () => {
    const values = [1, 4, 2, 8, 5, 7, 1, 3]
    expect(bootstrapInterval(values)).toEqual(bootstrapInterval(values))
    const [sure, unsure] = [0.99, 0.5].map((level) => bootstrapInterval(values, { level }))
    expect(sure!.high - sure!.low).toBeGreaterThan(unsure!.high - unsure!.low)
  })

  it('refuses no samples', () => expect(() => bootstrapInterval([])).toThrow(RangeError))
})
