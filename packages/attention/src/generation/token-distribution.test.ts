import { key } from '@x/core-gpu'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drawToken, requireSampling, tokenDistribution } from './token-distribution.ts'

const logits = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 12 })

describe('tokenDistribution', () => {
  it('is softmax without options', () => {
    fc.assert(
      fc.property(logits, (scores) => {
        const powers = scores.map((score) => Math.exp(score))
        const sum = powers.reduce((a, b) => a + b)
        tokenDistribution(scores).forEach((p, i) => expect(p).toBeCloseTo(powers[i]! / sum, 10))
      }),
    )
  })

  it('sums to one and keeps the likeliest, whatever is cut', () => {
    const options = fc.record({
      temperature: fc.double({ min: 0.1, max: 3, noNaN: true }),
      topK: fc.integer({ min: 1, max: 14 }),
      topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
      minP: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(logits, options, (scores, given) => {
        const p = tokenDistribution(scores, given)
        expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 10)
        expect(p.filter((value) => value > 0).length).toBeLessThanOrEqual(Math.min(given.topK, scores.length))
        const best = Math.max(...scores)
        expect(scores.some((score, i) => score > best - 1e-9 && p[i]! > 0)).toBe(true)
      }),
    )
  })

  it('cuts as each option says', () => {
    const scores = [0.5, 0.25, 0.125, 0.125].map(Math.log)
    const near = (got: Float64Array, wanted: number[]): void =>
      wanted.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 12))
    near(tokenDistribution(scores, { topK: 2 }), [2 / 3, 1 / 3, 0, 0])
    near(tokenDistribution(scores, { topP: 0.5 }), [1, 0, 0, 0])
    near(tokenDistribution(scores, { topP: 0.51 }), [2 / 3, 1 / 3, 0, 0])
    near(tokenDistribution(scores, { minP: 0.3 }), [2 / 3, 1 / 3, 0, 0])
    near(
      tokenDistribution(scores, { temperature: 0.5 }),
      [16, 4, 1, 1].map((part) => part / 22),
    )
    near(tokenDistribution(scores, { temperature: 0 }), [1, 0, 0, 0])
    // Of equal ones the first.
    near(tokenDistribution([1, 1], { temperature: 0 }), [1, 0])
    // ln 0.5 is negative, so that the penalty makes it smaller still; ln 2 positive.
    near(tokenDistribution([Math.log(2), 0], { repetitionPenalty: 2 }, [0, 0]), [Math.SQRT2, 1].map((x) => x / (1 + Math.SQRT2))) // prettier-ignore
    near(tokenDistribution([Math.log(0.5), 0], { repetitionPenalty: 2 }, [0]), [0.2, 0.8])
  })

  it('draws as often as probabilities say, and the same for a key', () => {
    const p = tokenDistribution([0, 1, 2, -3])
    const draws = Array.from({ length: 20_000 }, (_, i) => drawToken(p, key(5).fold(i)))
    p.forEach((probability, token) => {
      const share = draws.filter((draw) => draw === token).length / draws.length
      // Five standard errors.
      expect(Math.abs(share - probability)).toBeLessThan(
        5 * Math.sqrt((probability * (1 - probability)) / draws.length),
      )
    })
    expect(drawToken(p, key(1))).toBe(drawToken(p, key(1)))
    expect(drawToken(Float64Array.of(0, 1, 0), key(2))).toBe(1)
  })

  it.each([
    ['temperature', { temperature: -1 }],
    ['topK', { topK: 0 }],
    ['topP', { topP: 0 }],
    ['minP', { minP: 2 }],
    ['repetitionPenalty', { repetitionPenalty: 0 }],
  ] as const)('refuses %s out of range', (name, options) => {
    expect(() => requireSampling(options)).toThrow(new RegExp(`^${name}: expected`))
  })
})
