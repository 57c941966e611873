import type * as tf from '@tensorflow/tfjs-core'
import { packHalf, unpackHalf } from '@x/core-gpu'
import type { Storage } from '../storage.ts'

/**
 * Numbers in half precision (IEEE 754 binary16), two in each element: 2 bytes each, 11 significant bits, up to 65,504.
 *
 * Rows must have an even width. On webgpu the kernel reads them as they are.
 */
export function float16(): Storage {
  return {
    storage: 'float16',
    parts: (width) => {
      if (width % 2 !== 0) throw new RangeError(`storage: float16 keeps rows of an even width, got ${width}`)
      return { halves: { width: width / 2, dtype: 'int32' } }
    },
    encode: (x) => ({ halves: packHalf(x) as tf.Tensor4D }),
    decode: ({ halves }) => unpackHalf(halves!) as tf.Tensor4D,
  }
}
