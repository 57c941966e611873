import { key } from '@x/core-gpu'
import { Matrix } from 'ml-matrix'
import { describe, expect, it } from 'vitest'
import { frechetDistance, momentsOf, type Moments } from './frechet.ts'

const normal = (mean: number[], covariance: number[][]): Moments => ({
  mean: Float64Array.from(mean),
  covariance: new Matrix(covariance),
})

describe('momentsOf', () => {
  it('takes mean and unbiased covariance', () => {
    const { mean, covariance } = momentsOf([1, 2, 3, 6, 5, 1], 2)
    expect([...mean]).toEqual([3, 3])
    // By hand: deviations (-2, -1), (0, 3), (2, -2).
    expect(covariance.to2DArray()).toEqual([
      [4, -1],
      [-1, 7],
    ])
  })

  it('refuses what has no covariance', () => {
    expect(() => momentsOf([1, 2], 2)).toThrow(/^values: expected at least two vectors of 2 numbers, got 2 numbers/)
    expect(() => momentsOf([1, 2, 3], 2)).toThrow(/^values: /)
  })
})

describe('frechetDistance', () => {
  it('is 0 from a distribution to itself, also where a number never varies', () => {
    const values = Array.from({ length: 300 }, (_, i) => (i % 3 === 2 ? 0 : Math.sin(i * i)))
    const moments = momentsOf(values, 3)
    expect(frechetDistance(moments, moments)).toBeCloseTo(0, 9)
  })

  it('is the squared distance of the means where spreads are alike', () => {
    const covariance = [
      [2, 0.5],
      [0.5, 1],
    ]
    expect(frechetDistance(normal([1, 2], covariance), normal([4, -2], covariance))).toBeCloseTo(25, 9)
  })

  it('sums (s - t)^2 over the deviations where numbers do not covary', () => {
    const a = normal([0, 0, 0], Matrix.diag([1, 4, 9]).to2DArray())
    const b = normal([0, 0, 0], Matrix.diag([4, 4, 0]).to2DArray())
    expect(frechetDistance(a, b)).toBeCloseTo(1 + 0 + 9, 9)
  })

  it('knows spreads that turn against each other, either way round', () => {
    const a = normal(
      [0, 0],
      [
        [2, 1],
        [1, 3],
      ],
    )
    const b = normal(
      [0, 0],
      [
        [5, -2],
        [-2, 1],
      ],
    )
    // In two dimensions tr (AB)^1/2 = (tr AB + 2 (det AB)^1/2)^1/2; here tr AB = 9 and det AB = 5.
    const expected = 5 + 6 - 2 * Math.sqrt(9 + 2 * Math.sqrt(5))
    expect(frechetDistance(a, b)).toBeCloseTo(expected, 9)
    expect(frechetDistance(b, a)).toBeCloseTo(expected, 9)
  })

  it('nears what it is for the distributions that vectors are drawn from', () => {
    const draw = (seed: number): number[] => {
      const words = key(seed).bits(80_000)
      // Sums of four uniform numbers around 0, of variance 1 / 3.
      return Array.from({ length: 20_000 }, (_, i) =>
        [0, 1, 2, 3].reduce((sum, j) => sum + words[4 * i + j]! / 2 ** 32 - 0.5, 0),
      )
    }
    const [first, second] = [draw(1), draw(2)]
    const near = frechetDistance(momentsOf(first, 4), momentsOf(second, 4))
    const moved = second.map((value, i) => (i % 4 === 0 ? 2 * value + 1 : value))
    // The mean moves by 1 and the deviation doubles.
    expect(frechetDistance(momentsOf(first, 4), momentsOf(moved, 4))).toBeCloseTo(1 + 1 / 3, 1)
    expect(near).toBeLessThan(0.01)
  })

  it('refuses vectors of different sizes', () => {
    expect(() =>
      frechetDistance(
        normal([0], [[1]]),
        normal(
          [0, 0],
          [
            [1, 0],
            [0, 1],
          ],
        ),
      ),
    ).toThrow(/^b: expected vectors of 1 numbers like a, got 2/)
  })
})
