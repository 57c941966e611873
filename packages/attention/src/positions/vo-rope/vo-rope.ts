import type { PositionEncoding } from '../position.ts'
import { rope, type RopeOptions } from '../rope/rope.ts'

/**
 * Rotary embedding of values too: they turn by their positions, outputs turn back by the query's, so that what is summed
 * depends on the distance. Described at kexue.fm/archives/10862; queries and keys turn as in arXiv 2104.09864.
 * @throws RangeError naming the option that is out of range, or a scaling that has a magnitude: values would grow by it
 */
export function voRope(options: RopeOptions = {}): PositionEncoding {
  const { magnitude = 1 } = options.scaling ?? {}
  if (magnitude !== 1)
    throw new RangeError(`scaling: expected one that leaves lengths as they are, got a magnitude of ${magnitude}`)
  return { ...rope(options), encoding: 'vo-rope', turnsValues: true }
}
