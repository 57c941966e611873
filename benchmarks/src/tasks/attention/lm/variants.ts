import {
  type Attention,
  type Decoder,
  decoder,
  gla,
  gqa,
  gta,
  mfa,
  mha,
  mla,
  mqa,
  rope,
  type Streams,
  tpa,
} from '@x/attention'
import type { Key } from '@x/core-gpu'
import { sharedKeyValue } from './shared-key-value.ts'

export const dim = 128
export const layers = 2
const heads = 8

/** Numbers that a token leaves in a layer's cache, where caches are equal: a quarter of MHA's. */
export const cacheElements = 64

/** At `equal cache`, every token leaves at most 64 numbers; at `usual sizes`, what each method is usually given. */
export type Comparison = 'equal cache' | 'usual sizes'

type Make = (key: Key) => Attention

const positions = rope()
const common = { dim, heads, positions }
const latents = { dim, heads, nopeDim: 16, valueDim: 16 }

/** The attentions of a comparison. Beside the methods of the package, two in which one thing differs from MQA and from MLA. */
const attentions: Readonly<Record<Comparison, Readonly<Record<string, Make>>>> = {
  'equal cache': {
    mha: (key) => mha({ ...common, headDim: 4, key }),
    gqa: (key) => gqa({ ...common, groups: 2, headDim: 16, key }),
    mqa: (key) => mqa({ ...common, headDim: 32, key }),
    'mqa-partial': (key) => mqa({ ...common, positions: rope({ dims: 16 }), headDim: 32, key }),
    mla: (key) => mla({ ...latents, kvRank: 48, ropeDim: 16, key }),
    'shared-kv': (key) => sharedKeyValue({ dim, heads, width: 64, ropeDim: 16, key }),
    mfa: (key) => mfa({ ...common, headDim: 32, queryRank: 64, key }),
    tpa: (key) => tpa({ ...common, headDim: 24, ranks: [4, 1, 1], key }),
    gta: (key) => gta({ dim, heads, groups: 2, headDim: 24, key }),
    gla: (key) => gla({ ...latents, kvRank: 48, ropeDim: 16, groups: 2, key }),
  },
  'usual sizes': {
    mha: (key) => mha({ ...common, key }),
    gqa: (key) => gqa({ ...common, groups: 4, key }),
    mqa: (key) => mqa({ ...common, key }),
    mla: (key) => mla({ ...latents, kvRank: 64, ropeDim: 8, key }),
    mfa: (key) => mfa({ ...common, headDim: 48, queryRank: 64, key }),
    tpa: (key) => tpa({ ...common, ranks: [6, 2, 2], key }),
    gta: (key) => gta({ dim, heads, groups: 4, headDim: 16, key }),
    gla: (key) => gla({ ...latents, kvRank: 64, ropeDim: 8, groups: 2, key }),
  },
}

/** The methods of a comparison. */
export function methodsOf(comparison: Comparison): string[] {
  return Object.keys(attentions[comparison])
}

/** Numbers that a token leaves in the cache of a layer. */
export function elementsOf(attention: Attention): number {
  const { projection } = attention as Attention & { readonly projection: { readonly streams: Streams } }
  return Object.values(projection.streams).reduce((sum, [count, width]) => sum + count * width, 0)
}

/**
 * A decoder with an attention in every layer, and as many parameters as one with plain MHA, as near as the feed-forwards'
 * width allows.
 * @throws RangeError for a method that the comparison does not have
 */
export function makeModel(method: string, comparison: Comparison, vocabulary: number, key: Key): Decoder {
  const make = attentions[comparison]?.[method]
  if (make === undefined) throw new RangeError(`method: ${comparison} has no "${method}"`)
  const plain = attentions['usual sizes']['mha']!
  const whole = sizeOf(plain, key) + 3 * dim * plainHidden
  const hiddenDim = Math.round((whole - sizeOf(make, key)) / (3 * dim))
  return decoder({ vocabulary, dim, layers, hiddenDim, attention: (_, own) => make(own), key })
}

/** Width of MHA's feed-forwards: 8/3 of the tokens', up to a multiple of 8. */
const plainHidden = 344

/** How many numbers one attention trains. */
function sizeOf(make: Make, key: Key): number {
  const attention = make(key)
  const size = Object.values(attention.parameters()).reduce((sum, { size }) => sum + size, 0)
  attention.dispose()
  return size
}
