import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { threefry2x32 } from './threefry.ts'

describe('threefry2x32', () => {
  // Known answers of the Random123 distribution, 20 rounds.
  it.each([
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ])('key %i %i, counter %i %i', (k0, k1, x0, x1, y0, y1) => {
    expect(threefry2x32(k0, k1, x0, x1)).toEqual([y0, y1])
  })

  const word = fc.nat({ max: 0xffffffff })

  it('never maps two counters to one pair of words', () => {
    fc.assert(
      fc.property(word, word, word, word, word, word, (k0, k1, a0, a1, b0, b1) => {
        fc.pre(a0 !== b0 || a1 !== b1)
        expect(threefry2x32(k0, k1, a0, a1)).not.toEqual(threefry2x32(k0, k1, b0, b1))
      }),
    )
  })

  it('flips about half of the bits when one bit of key or counter changes', () => {
    fc.assert(
      fc.property(word, word, word, word, fc.nat({ max: 127 }), (k0, k1, x0, x1, bit) => {
        const input = [k0, k1, x0, x1] as [number, number, number, number]
        const changed = [...input] as typeof input
        changed[bit >>> 5]! ^= 1 << (bit & 31)
        const [a, b] = [threefry2x32(...input), threefry2x32(...changed)]
        const flipped = ones(a[0] ^ b[0]) + ones(a[1] ^ b[1])
        // Six standard deviations around 32 of 64.
        expect(Math.abs(flipped - 32)).toBeLessThanOrEqual(24)
      }),
    )
  })
})

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest > 0; rest >>>= 1) count += rest & 1
  return count
}
