import type { Storage } from '../storage.ts'

/** Numbers as they are: 4 bytes each. */
export function float32(): Storage {
  return {
    storage: 'float32',
    parts: (width) => ({ values: { width, dtype: 'float32' } }),
    encode: (x) => ({ values: x }),
    decode: ({ values }) => values!,
  }
}
