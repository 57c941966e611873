import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { phi } from './exponential.ts'
import { lagrangeWeights } from './lagrange.ts'

describe('phi', () => {
  it.each([0, 1, 2, 3, 4])('phi_%i is the integral that it stands for', (k) => {
    // phi_k(z) = 1 / (k-1)! int_0^1 e^((1 - s) z) s^(k-1) ds, by Simpson's rule.
    for (const z of [-8, -1, -0.51, -0.49, -1e-3, -1e-9, 1e-9, 1e-3, 0.49, 0.51, 1, 8]) {
      if (k === 0) {
        expect(phi(0, z)).toBeCloseTo(Math.exp(z), 9)
        continue
      }
      const n = 2000
      let sum = 0
      for (let i = 0; i <= n; i++) {
        const s = i / n
        const weight = i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2
        sum += weight * Math.exp((1 - s) * z) * s ** (k - 1)
      }
      const factorial = [1, 1, 1, 2, 6][k]!
      const expected = sum / (3 * n) / factorial
      expect(Math.abs(phi(k, z) / expected - 1)).toBeLessThan(1e-8)
    }
  })
})

describe('lagrangeWeights', () => {
  it('integrates polynomials exactly by their values', () => {
    const number = fc.double({ min: -2, max: 2, noNaN: true })
    fc.assert(
      fc.property(fc.array(number, { minLength: 4, maxLength: 4 }), number, (coefficients, end) => {
        const nodes = [0, 0.7, 1.5, 3]
        const moments = nodes.map((_, k) => end ** (k + 1) / (k + 1))
        const at = (u: number): number => coefficients.reduce((sum, c, k) => sum + c * u ** k, 0)
        const weights = lagrangeWeights(nodes, moments)
        const got = weights.reduce((sum, weight, i) => sum + weight * at(nodes[i]!), 0)
        const expected = coefficients.reduce((sum, c, k) => sum + c * moments[k]!, 0)
        expect(Math.abs(got - expected)).toBeLessThan(1e-9)
      }),
    )
  })
})
