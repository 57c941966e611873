import { wholeNumbers } from '../bytes/byte-format.ts'
import { type BytesOptions, scaledBytes } from '../bytes/scaled-bytes.ts'
import type { Storage } from '../storage.ts'

/**
 * Numbers as whole multiples, from -127 to 127, of a scale for each group of them: 1 byte each and 4 for a scale.
 *
 * The error is at most half a scale. By default one scale for each token and head.
 * @throws RangeError naming the option that is out of range
 */
export function int8(options: BytesOptions = {}): Storage {
  return scaledBytes(wholeNumbers, options)
}
