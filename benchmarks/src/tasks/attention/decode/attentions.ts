import { type Attention, gla, gqa, gta, mfa, mha, mla, mqa, rope, tpa } from '@x/attention'
import type { Key } from '@x/core-gpu'

export const dim = 512
const latents = { dim, kvRank: 64, nopeDim: 64, ropeDim: 32, queryRank: 128 }

/** Heads of 64, as every method has them. */
const makers: Readonly<Record<string, (heads: number, key: Key) => Attention>> = {
  mha: (heads, key) => mha({ ...wide(heads), key }),
  gqa: (heads, key) => gqa({ ...wide(heads), groups: heads / 4, key }),
  mqa: (heads, key) => mqa({ ...wide(heads), key }),
  mla: (heads, key) => mla({ ...latents, heads, key }),
  mfa: (heads, key) => mfa({ ...wide(heads), queryRank: 128, key }),
  tpa: (heads, key) => tpa({ ...wide(heads), ranks: [6, 2, 2], key }),
  gta: (heads, key) => gta({ dim, heads, groups: heads / 4, headDim: 64, key }),
  gla: (heads, key) => gla({ ...latents, heads, groups: 2, key }),
}

function wide(heads: number) {
  return { dim, heads, headDim: 64, positions: rope() }
}

export const methods: readonly string[] = Object.keys(makers)

/** @throws RangeError for an unknown method */
export function makeAttention(method: string, heads: number, key: Key): Attention {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${methods.join(', ')}`)
  return make(heads, key)
}
