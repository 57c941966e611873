import { phi } from './exponential.ts'

/**
 * What the latest predictions count for in an exponential step, newest first.
 * @param h signed, as in `ExponentialStep`
 * @param distances of each two neighbours, in steps
 */
export function multistepWeights(h: number, distances: readonly number[], solver: 'midpoint' | 'heun'): number[] {
  const [near, far] = distances
  const constant = Math.expm1(h)
  if (near === undefined) return [constant]
  if (far === undefined) {
    const slope = (solver === 'midpoint' ? constant / 2 : h * phi(2, h)) / near
    return [constant + slope, -slope]
  }
  // The first two derivatives, from the two differences.
  const span = near + far
  const second = (h * phi(3, h)) / span
  const first = h * phi(2, h)
  const ofNear = (first * (1 + near / span) + second) / near
  const ofFar = (-first * (near / span) - second) / far
  return [constant + ofNear, ofFar - ofNear, -ofFar]
}
