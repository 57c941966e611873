import { defineMethod, integer, type Method } from '@x/core-gpu'
import * as v from 'valibot'
import type { Attention } from '../../attention.ts'
import { commonEntries, type CommonOptions, commonParts, headWidth, partKeys } from '../../options.ts'
import { rope } from '../../positions/rope/rope.ts'
import { SoftmaxAttention } from '../../softmax-attention.ts'
import { TiedProjection } from './tied-projection.ts'

/** `positions` is `rope()` by default; it turns half of a head. */
export interface GtaOptions extends CommonOptions {
  /** g, heads of what keys and values share; divides `heads` */
  readonly groups: number
  /** width of a head, even; default `dim / heads` */
  readonly headDim?: number
  /** whether queries, keys and values have a bias; default false */
  readonly bias?: boolean
}

/**
 * Grouped-tied attention: a value is also the first half of its key, the other half turns and is one for all heads, so that
 * a cache holds about half of what GQA's does. arXiv 2505.21487
 * @throws TypeError or RangeError naming the option that is wrong
 */
export const gta: Method<GtaOptions, Attention> = /* @__PURE__ */ defineMethod({
  id: 'attention/gta',
  title: 'GTA',
  summary: 'Values are also the first half of their keys, whose other half turns and is one for all heads.',
  paper: { title: 'Hardware-Efficient Attention for Fast Decoding', arxiv: '2505.21487', year: 2025 },
  options: v.object({
    ...commonEntries,
    groups: integer(1),
    headDim: v.optional(
      v.pipe(
        integer(2),
        v.check((width) => width % 2 === 0, 'an even number'),
      ),
    ),
    bias: v.optional(v.boolean(), false),
  }),
  create: (options) => {
    const { heads, groups } = options
    if (heads % groups !== 0) throw new RangeError(`groups: expected a divisor of ${heads} heads, got ${groups}`)
    const [projectionKey, key] = partKeys(options)
    const headDim = headWidth(options, options.headDim)
    if (headDim % 2 !== 0) throw new RangeError(`headDim: expected an even number, got ${headDim}`)
    const parts = commonParts(options)
    return new SoftmaxAttention({
      ...parts,
      positions: options.positions ?? rope(),
      projection: new TiedProjection({ ...options, headDim, key: projectionKey }),
      key,
    })
  },
})
