import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import { commonEntries, type CommonOptions, commonParts, headWidth, partKeys } from '../../options.ts'
import { SoftmaxAttention } from '../../softmax-attention.ts'
import { TensorProductProjection } from './tensor-product-projection.ts'

export interface TpaOptions extends CommonOptions {
  /** width of a head; default `dim / heads` */
  readonly headDim?: number
  /** terms of queries, keys and values; default [6, 2, 2] */
  readonly ranks?: [query: number, key: number, value: number]
}

/**
 * Tensor product attention: queries, keys and values are sums of a few outer products of a factor over heads and one over
 * dimensions, and a cache holds the factors. arXiv 2501.06425
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const tpa: Method<TpaOptions, Attention> = /* @__PURE__ */ defineMethod({
  id: 'attention/tpa',
  title: 'TPA',
  summary: 'Keys and values are sums of a few outer products, and a cache holds their factors.',
  paper: { title: 'Tensor Product Attention Is All You Need', arxiv: '2501.06425', year: 2025 },
  options: v.object({
    ...commonEntries,
    headDim: v.optional(integer(1)),
    ranks: v.optional(v.tuple([integer(1), integer(1), integer(1)]), [6, 2, 2]),
  }),
  create: (options) => {
    const [projectionKey, key] = partKeys(options)
    const headDim = headWidth(options, options.headDim)
    const parts = commonParts(options)
    return new SoftmaxAttention({
      ...parts,
      projection: new TensorProductProjection({ ...options, headDim, key: projectionKey }),
      key,
    })
  },
})
