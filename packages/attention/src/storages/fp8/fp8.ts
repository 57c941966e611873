import { e4m3 } from '../bytes/byte-format.ts'
import { type BytesOptions, scaledBytes } from '../bytes/scaled-bytes.ts'
import type { Storage } from '../storage.ts'

/**
 * Numbers as float8 E4M3, over a scale for each group of them: 1 byte each and 4 for a scale. arXiv 2209.05433
 *
 * Of a number 4 significant bits remain, however small it is beside the greatest: down to 1/28,672 of that.
 * @throws RangeError naming the option that is out of range
 */
export function fp8(options: BytesOptions = {}): Storage {
  return scaledBytes(e4m3, options)
}
