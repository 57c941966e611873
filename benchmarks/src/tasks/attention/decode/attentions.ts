import { type Attention, gla, gqa, gta, mfa, mha, mla, mqa, rope, tpa } from '@x/attention'
import type { Key } from '@x/core-gpu'

export const dim = 512
const common = { dim, heads: 16, positions: rope() }
const heads = { ...common, headDim: 64 }
const latents = { dim, heads: 16, kvRank: 64, nopeDim: 64, ropeDim: 32, queryRank: 128 }

/** Sixteen heads of 64 each, as every method has them. */
const makers: Readonly<Record<string, (key: Key) => Attention>> = {
  mha: (key) => mha({ ...heads, key }),
  gqa: (key) => gqa({ ...heads, groups: 4, key }),
  mqa: (key) => mqa({ ...heads, key }),
  mla: (key) => mla({ ...latents, key }),
  mfa: (key) => mfa({ ...common, headDim: 64, queryRank: 128, key }),
  tpa: (key) => tpa({ ...heads, ranks: [6, 2, 2], key }),
  gta: (key) => gta({ dim, heads: 16, groups: 4, headDim: 64, key }),
  gla: (key) => gla({ ...latents, groups: 2, key }),
}

export const methods: readonly string[] = Object.keys(makers)

/** @throws RangeError for an unknown method */
export function makeAttention(method: string, key: Key): Attention {
  const make = makers[method]
  if (make === undefined) throw new RangeError(`method: unknown "${method}"; known: ${methods.join(', ')}`)
  return make(key)
}
