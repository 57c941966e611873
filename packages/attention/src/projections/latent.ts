import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../attention.ts'
import { type CommonOptions, commonParts, epsilonOption, partKeys } from '../options.ts'
import { rope } from '../positions/rope/rope.ts'
import { SoftmaxAttention } from '../softmax-attention.ts'
import { type LatentPath, LatentProjection } from './latent-projection.ts'

/** What attentions over latents take beside what all take; `positions` is `rope({ layout: 'interleaved' })` by default. */
export interface LatentOptions {
  /** width of a token's latent */
  readonly kvRank: number
  /** rank of the queries' projection, with a norm between; 0 (default) for one full matrix */
  readonly queryRank?: number
  /** width of the part of queries and keys that does not turn */
  readonly nopeDim: number
  /** width of the part that turns, its key shared by all heads; even, 0 for none */
  readonly ropeDim: number
  /** width of a head's values; default `nopeDim` */
  readonly valueDim?: number
  /** whether latents are normalised; default true */
  readonly latentNorm?: boolean
  /** added to mean squares; default 1e-6 */
  readonly normEpsilon?: number
  /**
   * Whether keys and values of each head are made first (`expanded`), or queries taken into the space of the latents
   * (`absorbed`); default `auto`: whichever takes fewer products, so that a prompt is expanded and single tokens absorbed
   */
  readonly path?: LatentPath | 'auto'
}

/** Their schema. */
export const latentEntries: {
  kvRank: v.GenericSchema<number>
  queryRank: v.OptionalSchema<v.GenericSchema<number>, 0>
  nopeDim: v.GenericSchema<number>
  ropeDim: v.GenericSchema<number>
  valueDim: v.OptionalSchema<v.GenericSchema<number>, undefined>
  latentNorm: v.OptionalSchema<v.GenericSchema<boolean>, true>
  normEpsilon: typeof epsilonOption
  path: v.OptionalSchema<v.GenericSchema<LatentPath | 'auto'>, 'auto'>
} = {
  kvRank: integer(1),
  queryRank: v.optional(integer(0), 0),
  nopeDim: integer(1),
  ropeDim: v.pipe(
    integer(0),
    v.check((dims) => dims % 2 === 0, 'an even number'),
  ),
  valueDim: v.optional(integer(1)),
  latentNorm: v.optional(v.boolean(), true),
  normEpsilon: epsilonOption,
  path: v.optional(v.picklist(['auto', 'expanded', 'absorbed']), 'auto'),
}

/** Options as checked: defaults are there. */
type CheckedLatent = CommonOptions &
  LatentOptions &
  Required<Pick<CommonOptions & LatentOptions, 'key' | 'queryRank' | 'latentNorm' | 'normEpsilon' | 'path'>>

/**
 * Attention over latents.
 * @throws RangeError when the groups divide neither heads nor rank
 */
export function latentAttention(options: CheckedLatent & { readonly groups: number }): Attention {
  const { heads, kvRank, groups, nopeDim, valueDim = nopeDim } = options
  for (const [name, size] of [
    ['heads', heads],
    ['kvRank', kvRank],
  ] as const)
    // prettier-ignore
    if (size % groups !== 0) throw new RangeError(`groups: expected a divisor of ${name} ${size}, got ${groups}`)
  const [projectionKey, key] = partKeys(options)
  const parts = commonParts(options)
  return new SoftmaxAttention({
    ...parts,
    positions: options.positions ?? rope({ layout: 'interleaved' }),
    projection: new LatentProjection({ ...options, rank: kvRank, valueDim, key: projectionKey }),
    key,
  })
}
