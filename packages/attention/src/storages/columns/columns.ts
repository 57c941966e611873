import * as tf from '@tensorflow/tfjs-core'
import { requireInteger } from '@x/core-gpu'
import { float16 } from '../float16/float16.ts'
import { fp8 } from '../fp8/fp8.ts'
import { isStorage, type RowPart, type Storage } from '../storage.ts'

/**
 * Rows whose columns are kept in several ways, such as a latent in bytes and the key beside it in half precision.
 * @param parts how many columns, and how they are kept, from the first column to the last
 * @throws TypeError when a part is no storage
 * @throws RangeError when a number of columns is out of range
 */
export function columns(...parts: readonly (readonly [count: number, storage: Storage])[]): Storage {
  if (parts.length === 0) throw new RangeError('parts: expected at least one, got none')
  parts.forEach(([count, storage], i) => {
    requireInteger(`parts[${i}]`, count, 1)
    if (!isStorage(storage)) throw new TypeError(`parts[${i}]: expected a number of columns and a storage`)
  })
  const total = parts.reduce((sum, [count]) => sum + count, 0)
  return {
    storage: parts.map(([count, { storage }]) => `${storage}(${count})`).join('+'),
    parts: (width) => {
      if (width !== total) throw new RangeError(`storage: expected rows of ${total} columns, got ${width}`)
      return Object.assign({}, ...parts.map(([count, storage], i) => named(i, storage.parts(count)))) as Record<string, RowPart> // prettier-ignore
    },
    encode: (x) => {
      const split = tf.split(x, parts.map(([count]) => count), 3) // prettier-ignore
      return Object.assign({}, ...parts.map(([, storage], i) => named(i, storage.encode(split[i] as tf.Tensor4D)))) as Record<string, tf.Tensor4D> // prettier-ignore
    },
    decode: (stored) => {
      const own = (i: number): Record<string, tf.Tensor4D> =>
        Object.fromEntries(Object.entries(stored).filter(([name]) => name.startsWith(`${i}.`)).map(([name, x]) => [name.slice(`${i}.`.length), x])) // prettier-ignore
      const decoded = parts.map(([count, storage], i) => storage.decode(own(i), count))
      return decoded.length === 1 ? decoded[0]! : tf.concat(decoded, 3)
    },
  }
}

function named<T>(place: number, parts: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [`${place}.${name}`, part]))
}

export interface LatentFp8Options {
  /** width of the latent; default 512 */
  readonly rank?: number
  /** width of the shared key behind it; even; default 64 */
  readonly ropeDim?: number
  /** columns of a latent that share a scale; divides `rank`; default 128 */
  readonly group?: number
}

/**
 * Rows of multi-head latent attention as FlashMLA keeps them: the latent in float8 E4M3 with a scale for each 128 columns,
 * the shared key in half precision; for DeepSeek-V2 and V3 512 + 4 * 4 + 2 * 64 = 656 bytes for each token.
 * @throws RangeError naming the option that is out of range
 */
export function latentFp8({ rank = 512, ropeDim = 64, group = 128 }: LatentFp8Options = {}): Storage {
  return columns([rank, fp8({ group })], ...(ropeDim > 0 ? [[ropeDim, float16()] as const] : []))
}
