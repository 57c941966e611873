import type * as tf from '@tensorflow/tfjs-core'
import { integer } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../attention.ts'
import { commonEntries, type CommonOptions, commonParts, epsilonOption, headWidth, partKeys } from '../options.ts'
import { requireTokens, SoftmaxAttention } from '../softmax-attention.ts'
import { GroupedProjection } from './grouped-projection.ts'

/** What attentions with keys and values of their own take. */
export interface HeadOptions extends CommonOptions {
  /** d, width of a head's queries and keys; default `dim / heads` */
  readonly headDim?: number
  /** width of a head's values; default `headDim` */
  readonly valueDim?: number
  /** whether queries, keys and values have a bias; default false */
  readonly bias?: boolean
  /** whether the last projection has one; default as `bias` */
  readonly outBias?: boolean
  /** whether queries and keys are normalised per head, before they turn (arXiv 2302.05442); default false */
  readonly qkNorm?: boolean
  /** added to the mean square there; default 1e-6 */
  readonly normEpsilon?: number
  /** whether values of the first layer are mixed in, by a learned share (arXiv 2410.17897); default false */
  readonly valueResidual?: boolean
}

/** Their schema. */
export const headEntries: typeof commonEntries & {
  headDim: v.OptionalSchema<v.GenericSchema<number>, undefined>
  valueDim: v.OptionalSchema<v.GenericSchema<number>, undefined>
  bias: v.OptionalSchema<v.GenericSchema<boolean>, false>
  outBias: v.OptionalSchema<v.GenericSchema<boolean>, undefined>
  qkNorm: v.OptionalSchema<v.GenericSchema<boolean>, false>
  normEpsilon: typeof epsilonOption
  valueResidual: v.OptionalSchema<v.GenericSchema<boolean>, false>
} = {
  ...commonEntries,
  headDim: v.optional(integer(1)),
  valueDim: v.optional(integer(1)),
  bias: v.optional(v.boolean(), false),
  outBias: v.optional(v.boolean()),
  qkNorm: v.optional(v.boolean(), false),
  normEpsilon: epsilonOption,
  valueResidual: v.optional(v.boolean(), false),
}

/** An attention with keys and values of its own. */
export interface GroupedAttention extends Attention {
  /** g, heads of keys and values */
  readonly groups: number
  /**
   * Values of the tokens, for the `firstValues` of later layers.
   * @param x float32 [B, L, D]
   * @returns [B, g, L, dv]; to be disposed by the caller
   * @throws TypeError, RangeError when x is no such tensor
   */
  values(x: tf.Tensor3D): tf.Tensor4D
}

class GroupedSoftmaxAttention extends SoftmaxAttention<GroupedProjection> implements GroupedAttention {
  get groups(): number {
    return this.projection.groups
  }

  values(x: tf.Tensor3D): tf.Tensor4D {
    requireTokens('x', x, this.dim)
    return this.projection.values(x)
  }
}

/** Options as checked: defaults are there. */
type CheckedHeads = HeadOptions &
  Required<Pick<HeadOptions, 'key' | 'bias' | 'qkNorm' | 'normEpsilon' | 'valueResidual'>>

/**
 * The one attention that MHA, GQA and MQA are: h heads of queries, g heads of keys and values.
 * @throws RangeError when the groups do not divide the heads
 */
export function groupedAttention(
  options: CheckedHeads & { readonly groups: number; readonly queryRank?: number | undefined },
): GroupedAttention {
  const { heads, groups } = options
  if (heads % groups !== 0) throw new RangeError(`groups: expected a divisor of ${heads} heads, got ${groups}`)
  const [projectionKey, key] = partKeys(options)
  const headDim = headWidth(options, options.headDim)
  const parts = commonParts(options)
  return new GroupedSoftmaxAttention({
    ...parts,
    projection: new GroupedProjection({
      ...options,
      headDim,
      valueDim: options.valueDim ?? headDim,
      key: projectionKey,
    }),
    outBias: options.outBias ?? options.bias,
    key,
  })
}
