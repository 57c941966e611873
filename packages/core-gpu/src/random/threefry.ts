/**
 * Threefry-2x32 with 20 rounds: a keyed bijection on 64 bits, so that counters become independent random words.
 *
 * Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3 (SC 2011).
 * @returns the two output words for the counter `(x0, x1)` under the key `(k0, k1)`
 */
export function threefry2x32(k0: number, k1: number, x0: number, x1: number): [number, number] {
  const k2 = k0 ^ k1 ^ PARITY
  x0 = (x0 + k0) | 0
  x1 = (x1 + k1) | 0
  const keys = [k0, k1, k2]
  for (let block = 0; block < 5; block++) {
    for (const distance of ROTATIONS[block % 2]!) {
      x0 = (x0 + x1) | 0
      x1 = ((x1 << distance) | (x1 >>> (32 - distance))) ^ x0
    }
    x0 = (x0 + keys[(block + 1) % 3]!) | 0
    x1 = (x1 + keys[(block + 2) % 3]! + block + 1) | 0
  }
  return [x0 >>> 0, x1 >>> 0]
}

const PARITY = 0x1bd11bda
const ROTATIONS: readonly [readonly number[], readonly number[]] = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
]
