import * as tf from '@tensorflow/tfjs-core'
import { BaseModule, defineMethod, describeShape, integer, type Method, type Module } from '@x/core-gpu'
import * as v from 'valibot'
import type { ForwardOptions } from '../../attention.ts'
import type { KvCache } from '../../caches/cache.ts'
import { commonParts, headWidth, partKeys } from '../../options.ts'
import { isCache, requireTokens, SoftmaxAttention, still } from '../../softmax-attention.ts'
import { headEntries, type HeadOptions } from '../grouped.ts'
import { GroupedProjection } from '../grouped-projection.ts'

export interface CrossAttentionOptions extends Omit<
  HeadOptions,
  'positions' | 'causal' | 'window' | 'keepFirst' | 'valueResidual'
> {
  /** width of a token that is attended to; default `dim` */
  readonly contextDim?: number
  /** g, heads of keys and values; divides `heads`; default `heads` */
  readonly groups?: number
}

/** Attention from one sequence to another. */
export interface CrossAttention extends Module {
  /** D */
  readonly dim: number
  /** width of a token that is attended to */
  readonly contextDim: number
  /**
   * Attends from tokens to those of another sequence, each to all; a mask says otherwise.
   * @param x float32 [B, L, D]
   * @param context float32 [B, S, contextDim], or what `remember` made of it, through which no gradient flows
   * @returns [B, L, D]; to be disposed by the caller
   * @throws TypeError, RangeError naming the argument that does not fit
   */
  forward(x: tf.Tensor3D, context: tf.Tensor3D | KvCache, options?: ForwardOptions): tf.Tensor3D
  /**
   * Keys and values of a context, made once for many calls; to be disposed by the caller.
   * @param context float32 [B, S, contextDim]
   * @throws TypeError, RangeError when it is no such tensor
   */
  remember(context: tf.Tensor3D): KvCache
}

class CrossSoftmaxAttention extends BaseModule implements CrossAttention {
  readonly attention: SoftmaxAttention<GroupedProjection>
  readonly dim: number
  readonly contextDim: number

  constructor(attention: SoftmaxAttention<GroupedProjection>, contextDim: number) {
    super()
    this.attention = attention
    this.dim = attention.dim
    this.contextDim = contextDim
  }

  forward(x: tf.Tensor3D, context: tf.Tensor3D | KvCache, options: ForwardOptions = {}): tf.Tensor3D {
    requireTokens('x', x, this.dim)
    const { projection } = this.attention
    if (isCache(context)) {
      const batch = context.lengths.length
      if (JSON.stringify(context.streams) !== JSON.stringify(projection.streams) || batch !== x.shape[0])
        throw new RangeError(`context: expected what remember made for a batch of ${x.shape[0]}, got another cache`)
      if (options.training) throw new TypeError('context: no gradient flows through a cache, so none is for training')
      return this.attention.attendOver(x, context, Math.max(...context.lengths), options)
    }
    requireTokens('context', context, this.contextDim)
    if (context.shape[0] !== x.shape[0])
      throw new RangeError(`context: expected a batch of ${x.shape[0]}, got ${describeShape(context.shape)}`)
    return tf.tidy(() => this.attention.attendOver(x, projection.tokens(context, still), context.shape[1], options))
  }

  remember(context: tf.Tensor3D): KvCache {
    requireTokens('context', context, this.contextDim)
    const [batch, length] = context.shape
    const cache = this.attention.createCache({ batch, capacity: length })
    tf.tidy(() => cache.append(this.attention.projection.tokens(context, still)))
    return cache
  }
}

/**
 * Cross-attention: queries of one sequence, keys and values of another. arXiv 1706.03762
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const crossAttention: Method<CrossAttentionOptions, CrossAttention> = /* @__PURE__ */ defineMethod({
  id: 'attention/cross',
  title: 'Cross-attention',
  summary: 'Queries of one sequence read keys and values of another, which can be remembered.',
  paper: { title: 'Attention Is All You Need', arxiv: '1706.03762', year: 2017 },
  options: crossEntries(),
  create: (options) => {
    const { dim, heads, contextDim = dim, groups = heads } = options
    if (heads % groups !== 0) throw new RangeError(`groups: expected a divisor of ${heads} heads, got ${groups}`)
    const [projectionKey, key] = partKeys(options)
    const headDim = headWidth(options, options.headDim)
    const valueDim = options.valueDim ?? headDim
    const attention = new SoftmaxAttention({
      ...commonParts(options),
      causal: false,
      projection: new GroupedProjection({
        ...options,
        contextDim,
        groups,
        headDim,
        valueDim,
        valueResidual: false,
        key: projectionKey,
      }),
      outBias: options.outBias ?? options.bias,
      key,
    })
    return new CrossSoftmaxAttention(attention, contextDim)
  },
})

/** Those of every attention, but for what orders tokens within one sequence. */
function crossEntries() {
  const { positions: _p, causal: _c, window: _w, keepFirst: _k, valueResidual: _v, ...entries } = headEntries
  return v.object({ ...entries, contextDim: v.optional(integer(1)), groups: v.optional(integer(1)) })
}
